import { OptionsError, type NoAckConsumeOptions } from 'instance-queue';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

describe('consuming with noAck', () => {
  const given = consumingFixture();

  it('delivers messages that are not and cannot be settled', async () => {
    const { bystander, newClient, queue, log, untilChannelsClosed } = given;
    const client = newClient({ consumer: { prefetch: 5 } });
    await bystander.put(queue, ...numbers(50));
    const { values, subscription } = collect(client.consume<number>({ queue, noAck: true }));
    await eventually(() => values.length === 50);
    expect(values.map(({ body }) => body)).toEqual(numbers(50));
    for (const verb of ['ack', 'requeue', 'release', 'reject', 'settled']) expect(values[0]).not.toHaveProperty(verb);
    expect(log.of('basic.consume')[0]?.fields).toMatchObject({ noAck: true });
    expect(log.of('basic.qos')).toHaveLength(0);
    subscription.unsubscribe();
    await untilChannelsClosed();
    expect(log.methods('toBroker')).not.toContain('basic.ack');
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    expect(client.metrics).toMatchObject({ delivered: 50, acked: 0, inFlight: 0, lost: 0 });
  });

  it('skips and counts messages that cannot be decoded', async () => {
    const { bystander, newClient, queue } = given;
    const client = newClient();
    await bystander.publishRaw('', queue, [Buffer.from('{'), Buffer.from('{}')], { contentType: 'application/json' });
    const { values } = collect(client.consume({ queue, noAck: true }));
    await eventually(() => values.length === 1);
    expect(values[0]?.body).toEqual({});
    expect(client.metrics).toMatchObject({ undecodable: 1, delivered: 1 });
  });

  it('counts redelivered messages', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, 'twice');
    const client = newClient();
    const first = collect(client.consume({ queue, prefetch: 1 }));
    (await eventually(() => first.values[0])).requeue();
    first.subscription.unsubscribe();
    await eventually(async () => (await bystander.count(queue)).consumers === 0);
    const { values } = collect(client.consume({ queue, noAck: true }));
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 'twice', redelivered: true });
    expect(client.metrics.redelivered).toBe(client.metrics.delivered - 1);
  });

  it('is refused together with options that need acks', () => {
    const client = given.newClient();
    const options: NoAckConsumeOptions & { prefetch?: number; onUndecodable?: 'reject' } = { queue: 'q', noAck: true };
    expect(() => client.consume({ ...options, prefetch: 3 })).toThrow(OptionsError);
    expect(() => client.consume({ ...options, onUndecodable: 'reject' })).toThrow(/`onUndecodable`/);
  });
});
