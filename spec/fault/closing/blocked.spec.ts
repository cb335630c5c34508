import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { rejection, until } from '../../support/waiting';

describe('close() of a blocked connection', () => {
  const given = rabbitmqFixture({ memoryAlarm: true });

  it('settles within its deadline, and reports the held messages', async () => {
    const { broker, newClient } = given;
    const client = newClient();
    await client.connect();
    await broker.memoryAlarm(true);
    const message = { exchange: 'amq.direct', routingKey: 'x', body: 1, mandatory: false };
    const first = rejection(client.send(message));
    await until(client.health$, ({ blocked }) => blocked !== undefined);
    const second = rejection(client.send(message));
    const began = performance.now();
    expect(await client.close({ drainTimeout: 300 })).toEqual({ unsettled: 0, unconfirmed: 2 });
    expect(performance.now() - began).toBeLessThan(2000);
    expect(await first).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
    expect(await second).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  });
});
