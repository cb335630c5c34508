import { InstanceQueue } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { rejection, until } from '../../support/waiting';

afterEach(closeAll);

describe('close() of a blocked connection', () => {
  const own = privateBroker();
  afterAll(() => own.memoryAlarm(false));

  it('settles within its deadline, and reports what was held back', async () => {
    const queue = closing(new InstanceQueue(own.url));
    await queue.connect();
    await own.memoryAlarm(true);
    const message = { exchange: 'amq.direct', routingKey: 'x', body: 1, mandatory: false };
    const first = rejection(queue.send(message));
    await until(queue.health$, ({ blocked }) => blocked !== undefined);
    const second = rejection(queue.send(message));
    const began = performance.now();
    expect(await queue.close({ drainTimeout: 300 })).toEqual({ unsettled: 0, unconfirmed: 2 });
    expect(performance.now() - began).toBeLessThan(2000);
    expect(await first).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
    expect(await second).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  });
});
