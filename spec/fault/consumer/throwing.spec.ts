import { Consumer } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { uncaughtErrors } from '../../support/uncaught-errors';
import { eventually, until } from '../../support/waiting';

describe('an application callback that throws', () => {
  const given = consumingFixture({ connection: { reconnect: { min: 5, max: 20 } } });

  const uncaught = uncaughtErrors();
  let consumer: Consumer;
  beforeEach(() => {
    consumer = closing(new Consumer(given.connection, { queue: given.queue }));
  });

  it('in a listener of `undecodable` affects neither the channel nor the next messages', async () => {
    const { bystander, queue, log } = given;
    consumer.on('undecodable', () => {
      throw new Error('from a listener');
    });
    await bystander.publishRaw('', queue, [Buffer.from('{'), Buffer.from('1')], { contentType: 'application/json' });
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 1);
    await eventually(() => uncaught.length === 1);
    expect(values[0]?.ack()).toBe(true);
    await consumer.close();
    expect(log.of('basic.consume')).toHaveLength(1);
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    expect(uncaught).toEqual([new Error('from a listener')]);
  });

  it('in a listener of `lost` does not suppress the next `lost`, nor the attach after it', async () => {
    const { bystander, proxy, queue } = given;
    const lost: unknown[] = [];
    consumer.on('lost', ({ body }) => {
      lost.push(body);
      throw new Error(`from a listener: ${String(body)}`);
    });
    await bystander.put(queue, 1, 2);
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 2);
    proxy.cut();
    await eventually(() => values.length === 4);
    expect(lost).toEqual([1, 2]);
    await eventually(() => uncaught.length === 2);
    expect(values.slice(2).map((delivery) => delivery.ack())).toEqual([true, true]);
  });

  it('in a listener of a state leaves the consumer attached', async () => {
    const { bystander, proxy, queue } = given;
    consumer.on('attached', () => {
      throw new Error('from a listener');
    });
    const { values } = collect(consumer.deliveries$);
    await bystander.put(queue, 1);
    await eventually(() => values.length === 1);
    await eventually(() => uncaught.length === 1);
    proxy.cut();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    await eventually(() => uncaught.length === 2);
  });

  it('in `next` surfaces as an uncaught exception, and ends neither the subscription nor the channel', async () => {
    const { bystander, queue, log } = given;
    const seen: unknown[] = [];
    consumer.deliveries$.subscribe((delivery) => {
      seen.push(delivery.body);
      delivery.ack();
      throw new Error(`from next: ${String(delivery.body)}`);
    });
    await bystander.put(queue, 1, 2, 3);
    await eventually(() => seen.length === 3);
    await eventually(() => uncaught.length === 3);
    expect(consumer.state.status).toBe('attached');
    await consumer.close();
    expect(await bystander.count(queue)).toEqual({ ready: 0, consumers: 0 });
    expect(log.methods('toClient')).not.toContain('channel.close');
  });
});
