import { Connection, Consumer } from 'instance-queue';
import { config } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

describe('code of the user that throws', () => {
  const broker = sharedBroker();
  const uncaught: unknown[] = [];
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  let consumer: Consumer;
  let connection: Connection;
  let queue: string;
  beforeEach(async () => {
    uncaught.length = 0;
    side = await Bystander.at(broker.url);
    queue = await side.declareQueue();
    proxy = closing(await FaultProxy.before(broker.url));
    log = new FrameLog(proxy);
    connection = closing(new Connection({ url: proxy.url(broker.url), reconnect: { min: 5, max: 20 } }));
    consumer = closing(new Consumer(connection, { queue }));
    // What would be an uncaught exception, by RxJS and by our own doing.
    config.onUnhandledError = (error) => {
      uncaught.push(error);
    };
    const { setImmediate: later } = globalThis;
    jest.spyOn(globalThis, 'setImmediate').mockImplementation((callback, ...args) =>
      later(() => {
        try {
          callback(...args);
        } catch (error) {
          uncaught.push(error);
        }
      }),
    );
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
    config.onUnhandledError = null;
    jest.restoreAllMocks();
  });

  it('in a listener of `undecodable` harms neither the channel nor the messages behind', async () => {
    consumer.on('undecodable', () => {
      throw new Error('from a listener');
    });
    await side.publishRaw('', queue, [Buffer.from('{'), Buffer.from('1')], { contentType: 'application/json' });
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 1);
    await eventually(() => uncaught.length === 1);
    expect(values[0]?.ack()).toBe(true);
    await consumer.close();
    expect(log.of('basic.consume')).toHaveLength(1);
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
    expect(uncaught).toEqual([new Error('from a listener')]);
  });

  it('in a listener of `lost` keeps nobody from hearing of the next, nor from coming back', async () => {
    const lost: unknown[] = [];
    consumer.on('lost', ({ body }) => {
      lost.push(body);
      throw new Error(`from a listener: ${String(body)}`);
    });
    await side.put(queue, 1, 2);
    const { values } = collect(consumer.deliveries$);
    await eventually(() => values.length === 2);
    proxy.cut();
    await eventually(() => values.length === 4);
    expect(lost).toEqual([1, 2]);
    await eventually(() => uncaught.length === 2);
    expect(values.slice(2).map((delivery) => delivery.ack())).toEqual([true, true]);
  });

  it('in a listener of a state keeps the consumer attached', async () => {
    consumer.on('attached', () => {
      throw new Error('from a listener');
    });
    const { values } = collect(consumer.deliveries$);
    await side.put(queue, 1);
    await eventually(() => values.length === 1);
    await eventually(() => uncaught.length === 1);
    proxy.cut();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    await eventually(() => uncaught.length === 2);
  });

  it('in `next` surfaces as an uncaught exception and ends neither the stream nor the channel', async () => {
    const seen: unknown[] = [];
    consumer.deliveries$.subscribe((delivery) => {
      seen.push(delivery.body);
      delivery.ack();
      throw new Error(`from next: ${String(delivery.body)}`);
    });
    await side.put(queue, 1, 2, 3);
    await eventually(() => seen.length === 3);
    await eventually(() => uncaught.length === 3);
    expect(consumer.state.status).toBe('attached');
    await consumer.close();
    expect(await side.count(queue)).toEqual({ ready: 0, consumers: 0 });
    expect(log.methods('toClient')).not.toContain('channel.close');
  });
});
