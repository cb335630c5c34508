import { Connection, consume, Consumer, type Delivery } from 'instance-queue';
import { MemoryBroker } from '../../../lib/testing/memory-broker';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

describe('consuming on a connection of its own', () => {
  const opened = (): { readonly connection: Connection; readonly broker: MemoryBroker } => {
    const broker = new MemoryBroker();
    broker.put({ queue: 'orders', body: 1 });
    const connection = closing(new Connection({ url: 'amqp://host', logger: 'silent' }, broker.transport));
    return { connection, broker };
  };

  it('opens the connection with the first subscriber, and not before', async () => {
    const { connection, broker } = opened();
    const orders$ = consume<number>(connection, { queue: 'orders' });
    expect(connection.state.status).toBe('disconnected');
    const { values, subscription } = collect(orders$);
    await later();
    expect(values.map(({ body }) => body)).toEqual([1]);
    expect(values[0]!.ack()).toBe(true);
    subscription.unsubscribe();
    await later();
    expect(broker.queues).toMatchObject([{ name: 'orders', consumers: 0, unsettled: 0, messages: [] }]);
  });

  it('without acks emits messages', async () => {
    const { values } = collect(consume(opened().connection, { queue: 'orders', noAck: true }));
    await later();
    expect(values).toMatchObject([{ body: 1 }]);
    expect(values[0]).not.toHaveProperty('ack');
  });

  it('by a Consumer drains within the time of its connection', async () => {
    const { connection } = opened();
    const consumer = new Consumer<number>(connection, { queue: 'orders' });
    const got: Delivery<number>[] = [];
    consumer.deliveries$.subscribe((delivery) => void got.push(delivery));
    await later();
    let report: unknown;
    void consumer.close().then((given) => (report = given));
    await later(29_000);
    expect(report).toBeUndefined();
    await later(1500);
    expect([report, got[0]?.settled]).toEqual([{ unsettled: 1, unconfirmed: 0 }, 'lost']);
  });
});
