import { checkConnection } from 'instance-queue/tools';
import { lookup } from 'node:dns/promises';
import { lastValueFrom, toArray } from 'rxjs';

jest.mock('node:dns/promises', () => ({ lookup: jest.fn() }));

test('a check gives up a name server that does not answer, as it does any other step', async () => {
  jest.mocked(lookup).mockReturnValue(new Promise(() => undefined) as never);
  const steps$ = checkConnection({ url: 'amqp://shop:geheim@rabbit.internal/orders', timeout: 20 });
  const steps = await lastValueFrom(steps$.pipe(toArray()));
  expect(steps).toMatchObject([{ name: 'dns', status: 'failed' }]);
  expect(steps[0]?.text).toContain('no answer within 20 ms');
  expect(steps[0]?.text).not.toContain('geheim');
});
