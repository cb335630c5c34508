import { checkConnection } from 'instance-queue/tools';
import { promises } from 'node:dns';
import { lastValueFrom, toArray } from 'rxjs';

afterEach(() => jest.restoreAllMocks());

test('a check gives up a name server that does not answer, as it does any other step', async () => {
  jest.spyOn(promises, 'lookup').mockReturnValue(new Promise(() => undefined));
  const steps$ = checkConnection({ url: 'amqp://shop:geheim@rabbit.internal/orders', timeout: 20 });
  const steps = await lastValueFrom(steps$.pipe(toArray()));
  expect(steps).toMatchObject([{ name: 'dns', status: 'failed' }]);
  expect(steps[0]?.text).toContain('no answer within 20 ms');
  expect(steps[0]?.text).not.toContain('geheim');
});
