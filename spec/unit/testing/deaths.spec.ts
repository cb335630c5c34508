import { FakeInstanceQueue } from 'instance-queue/testing';
import { closeAll, closing } from '../../support/closing';

afterEach(closeAll);

it('a message says of each queue and reason how often it died there, the latest first', async () => {
  const queue = closing(new FakeInstanceQueue());
  await queue.admin.declare({
    queues: [
      { name: 'a', deadLetter: { queue: 'b' } },
      { name: 'b', deadLetter: { queue: 'a' } },
    ],
  });
  const rejected = async (name: string): Promise<void> => {
    (await queue.admin.get(name))?.reject();
    await queue.rest();
  };
  const deaths = (name: string): unknown => queue.broker.messages(name)[0]?.properties.headers?.['x-death'];
  await queue.send({ queue: 'a', body: 1 });
  await rejected('a');
  expect(deaths('b')).toMatchObject([{ queue: 'a', reason: 'rejected', count: 1, 'routing-keys': ['a'] }]);
  await rejected('b');
  expect(deaths('a')).toMatchObject([
    { queue: 'b', reason: 'rejected', count: 1 },
    { queue: 'a', reason: 'rejected', count: 1 },
  ]);
  await rejected('a');
  expect(deaths('b')).toMatchObject([
    { queue: 'a', reason: 'rejected', count: 2 },
    { queue: 'b', reason: 'rejected', count: 1 },
  ]);
});
