import { FakeInstanceQueue } from 'instance-queue/testing';
import { collect } from '../../support/collect';
import { rejection, until } from '../../support/waiting';

test('a request is answered with the error of its work, also when the error policy fails', async () => {
  await using queue = new FakeInstanceQueue();
  const work = (): never => {
    throw new RangeError('no price');
  };
  const onError = (): never => {
    throw new Error('no policy');
  };
  const { values } = collect(queue.respond({ queue: 'prices' }, work, { onError }));
  await until(queue.health$, ({ consumers }) => consumers[0]?.status === 'attached');
  const asked = rejection(queue.request({ queue: 'prices', body: 1 }, { timeout: 2000 }));
  expect(await asked).toMatchObject({ code: 'REPLY_ERROR', cause: { name: 'RangeError', message: 'no price' } });
  await queue.rest();
  // 'requeue-once' decides, and the failure of the policy is reported.
  expect(values.map(({ settlement }) => settlement)).toEqual(['requeue', 'reject']);
  expect(values).toMatchObject(
    Array(2).fill({ error: { errors: [{ message: 'no price' }, { message: 'no policy' }] } }),
  );
});
