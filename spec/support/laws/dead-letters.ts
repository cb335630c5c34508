import type { ConsumeOptions, Delivery, InstanceQueue, LogEntry, QueueSpec } from 'instance-queue';
import { collect } from '../collect';
import { uniqueName } from '../unique-name';
import { eventually, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What holds for queues that dead-letter to another queue by name, on any broker. */
export function deadLetterLaws(given: { readonly broker: BrokerUnderTest }): void {
  const names = (): { name: string; dead: string } => {
    const { broker } = given;
    return { name: broker.freeQueueName(), dead: broker.freeQueueName() };
  };
  // As another client, and not as a producer of the same InstanceQueue, which makes sure of queues as well.
  const put = (queue: string, body: unknown): Promise<void> =>
    given.broker.put(queue, Buffer.from(JSON.stringify(body)), 'application/json');
  /** Consumes, and resolves with the deliveries when the consumer is attached. */
  const consuming = async (queue: InstanceQueue, options: ConsumeOptions): Promise<readonly Delivery<unknown>[]> => {
    const consumer = queue.consumer(options);
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    return values;
  };
  const bodiesOf = async (queue: string): Promise<unknown[]> =>
    (await given.broker.takeMessages(queue, 1)).map(({ body }) => body);

  it('the queue that a consumer dead-letters to is declared if it does not exist', async () => {
    const { name, dead } = names();
    const queue = given.broker.newClient();
    const values = await consuming(queue, { queue: { name, deadLetter: { queue: dead } } });
    await put(name, 'bad');
    (await eventually(() => values[0])).reject();
    expect(await bodiesOf(dead)).toEqual(['bad']);
  });

  it.each([
    [(dead: string) => ({ deadLetter: { exchange: '', routingKey: dead } })],
    [(dead: string) => ({ arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead } })],
  ])('it is declared in whatever words the spec names it: %p', async (deadLetters) => {
    const { name, dead } = names();
    const queue = given.broker.newClient();
    const values = await consuming(queue, { queue: { name, ...deadLetters(dead) } });
    await put(name, 'bad');
    (await eventually(() => values[0])).reject();
    expect(await bodiesOf(dead)).toEqual(['bad']);
  });

  it('it is used as it is if it exists, and declared by its own spec if the topology has one', async () => {
    const { name } = names();
    const existing = await given.broker.declareQueue({ maxLength: 3 });
    const [known, last] = [given.broker.freeQueueName(), given.broker.freeQueueName()];
    const queue = given.broker.newClient({
      topology: {
        queues: [
          { name, deadLetter: { queue: existing } },
          { name: known, messageTtl: 5, deadLetter: { queue: last } },
        ],
      },
    });
    const other: QueueSpec = { name: given.broker.freeQueueName(), deadLetter: { queue: known } };
    const values = await consuming(queue, { queue: name });
    const others = await consuming(queue, { queue: other });
    await put(name, 'bad');
    await put(other.name, 'worse');
    (await eventually(() => values[0])).reject();
    (await eventually(() => others[0])).reject();
    expect(await bodiesOf(existing)).toEqual(['bad']);
    // Over the queue that the topology knows, which lets it expire.
    expect(await bodiesOf(last)).toEqual(['worse']);
  });

  it('it is declared by a producer that declares its topology, or the queue of a route', async () => {
    const exchange = uniqueName('exchange');
    const { name, dead } = names();
    const spec = { name, messageTtl: 5, deadLetter: { queue: dead } };
    const declaring = given.broker.newClient({
      topology: {
        exchanges: [{ name: exchange, type: 'fanout', autoDelete: true }],
        queues: [spec],
        bindings: [{ exchange, queue: name }],
      },
    });
    await declaring.send({ exchange, body: 'late' });
    expect(await bodiesOf(dead)).toEqual(['late']);

    const route = { ...spec, name: given.broker.freeQueueName(), deadLetter: { queue: given.broker.freeQueueName() } };
    const client = given.broker.newClient();
    // A spec that is consumed from is known to the producers beside it.
    void client.consume({ queue: route });
    await client.send({ queue: route.name, body: 'later' });
    expect(await bodiesOf(route.deadLetter.queue)).toEqual(['later']);
  });

  it('it is declared again when it is gone at the next attach', async () => {
    const { name, dead } = names();
    const queue = given.broker.newClient();
    const consumer = queue.consumer({ queue: { name, deadLetter: { queue: dead } } });
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await given.broker.deleteQueue(dead);
    await given.broker.disconnect();
    await given.broker.reconnect();
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    await put(name, 'bad');
    (await eventually(() => values.at(-1))).reject();
    expect(await bodiesOf(dead)).toEqual(['bad']);
  });

  it('it is not declared with `declare: false`', async () => {
    const { dead } = names();
    const name = await given.broker.declareQueue({ deadLetter: { queue: dead } });
    const logged: LogEntry[] = [];
    const queue = given.broker.newClient({ logger: (entry) => logged.push(entry) });
    const values = await consuming(queue, { queue: { name, deadLetter: { queue: dead } }, declare: false });
    await put(name, 1);
    (await eventually(() => values[0])).reject();
    await eventually(() => queue.metrics.rejected === 1);
    const missing = collect(queue.consume({ queue: { name: dead, passive: true } }));
    expect(await eventually(() => missing.error)).toMatchObject({ replyCode: 404 });
    expect(logged.filter(({ level }) => level === 'warn')).toEqual([]);
  });
}
