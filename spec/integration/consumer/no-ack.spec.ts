import { InstanceQueue, OptionsError, type NoAckConsumeOptions } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually } from '../../support/waiting';

describe('consuming with noAck', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  beforeEach(async () => {
    side = await Bystander.at(url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  it('gives messages that nobody has to settle, and none that could be settled', async () => {
    const proxy = closing(await FaultProxy.before(url));
    const log = new FrameLog(proxy);
    const name = await side.queue();
    const queue = closing(new InstanceQueue({ url: proxy.url(url), consumer: { prefetch: 5 } }));
    await side.put(name, ...Array.from({ length: 50 }, (_, i) => i));
    const { values, subscription } = gather(queue.consume<number>({ queue: name, noAck: true }));
    await eventually(() => values.length === 50);
    expect(values.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    for (const verb of ['ack', 'requeue', 'release', 'reject', 'settled']) expect(values[0]).not.toHaveProperty(verb);
    expect(log.of('basic.consume')[0]?.fields).toMatchObject({ noAck: true });
    expect(log.of('basic.qos')).toHaveLength(0);
    subscription.unsubscribe();
    await eventually(() => log.of('channel.close-ok').length === log.of('channel.open').length);
    expect(log.methods('toBroker')).not.toContain('basic.ack');
    expect(await side.count(name)).toEqual({ ready: 0, consumers: 0 });
    expect(queue.metrics).toMatchObject({ delivered: 50, acked: 0, inFlight: 0, lost: 0 });
  });

  it('skips what cannot be decoded, and counts it', async () => {
    const name = await side.queue();
    const queue = closing(new InstanceQueue(url));
    await side.raw('', name, [Buffer.from('{'), Buffer.from('{}')], { contentType: 'application/json' });
    const { values } = gather(queue.consume({ queue: name, noAck: true }));
    await eventually(() => values.length === 1);
    expect(values[0]?.body).toEqual({});
    expect(queue.metrics).toMatchObject({ undecodable: 1, delivered: 1 });
  });

  it('counts what comes again', async () => {
    const name = await side.queue();
    await side.put(name, 'twice');
    const queue = closing(new InstanceQueue(url));
    const first = gather(queue.consume({ queue: name, prefetch: 1 }));
    (await eventually(() => first.values[0])).requeue();
    first.subscription.unsubscribe();
    await eventually(async () => (await side.count(name)).consumers === 0);
    const { values } = gather(queue.consume({ queue: name, noAck: true }));
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ body: 'twice', redelivered: true });
    expect(queue.metrics.redelivered).toBe(queue.metrics.delivered - 1);
  });

  it('is refused together with what only makes sense with acks', () => {
    const queue = closing(new InstanceQueue(url));
    const given: NoAckConsumeOptions & { prefetch?: number; onUndecodable?: 'reject' } = { queue: 'q', noAck: true };
    expect(() => queue.consume({ ...given, prefetch: 3 })).toThrow(OptionsError);
    expect(() => queue.consume({ ...given, onUndecodable: 'reject' })).toThrow(/`onUndecodable`/);
  });
});
