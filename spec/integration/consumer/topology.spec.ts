import { Consumer, consume, type Delivery, type Topology } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

describe('the topology of a consumer', () => {
  const given = consumingFixture();

  /** Consumes, and resolves when the consumer is attached. */
  async function consuming(queue: string, topology: Topology): Promise<readonly Delivery<unknown>[]> {
    const consumer = closing(new Consumer(given.newConnection(), { queue, topology }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    return values;
  }
  const bodies = (values: readonly Delivery<unknown>[]): unknown[] => values.map(({ body }) => body);

  it('is declared before the consumer attaches: exchanges, queues, bindings, prefetch, consume', async () => {
    const { bystander, newConnection, log } = given;
    const [exchange, queue] = [bystander.freeExchangeName(), bystander.freeQueueName()];
    const topology = {
      exchanges: [{ name: exchange, type: 'fanout' }],
      queues: [{ name: queue }],
      bindings: [{ exchange, queue }],
    };
    collect(consume(newConnection(), { queue, topology }));
    await eventually(() => log.of('basic.consume-ok').length === 1);
    const steps = log.methods('toBroker').filter((name) => /^(exchange|queue|basic)\./.test(name));
    expect(steps).toEqual(['exchange.declare', 'queue.declare', 'queue.bind', 'basic.qos', 'basic.consume']);
    const methods = log.frames.filter(({ type }) => type === 'method').map(({ name }) => name);
    expect(methods.indexOf('queue.bind-ok')).toBeLessThan(methods.indexOf('basic.consume'));
  });

  it('routes by key through a topic exchange', async () => {
    const { bystander } = given;
    const [exchange, queue] = [bystander.freeExchangeName(), bystander.freeQueueName()];
    const values = await consuming(queue, {
      exchanges: [{ name: exchange, type: 'topic' }],
      queues: [{ name: queue }],
      bindings: [{ exchange, queue, routingKey: 'order.*' }],
    });
    await bystander.publish(exchange, 'invoice.new', 'not for us');
    await bystander.publish(exchange, 'order.new', 'for us');
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual(['for us']);
    expect(values[0]).toMatchObject({ exchange, routingKey: 'order.new', queue });
  });

  it('routes by headers, given as the arguments of a binding', async () => {
    const { bystander } = given;
    const [exchange, queue] = [bystander.freeExchangeName(), bystander.freeQueueName()];
    const values = await consuming(queue, {
      exchanges: [{ name: exchange, type: 'headers' }],
      queues: [{ name: queue }],
      bindings: [{ exchange, queue, arguments: { 'x-match': 'all', colour: 'red' } }],
    });
    const contentType = 'application/json';
    await bystander.publishRaw(exchange, '', [Buffer.from('1')], { contentType, headers: { colour: 'blue' } });
    await bystander.publishRaw(exchange, '', [Buffer.from('2')], { contentType, headers: { colour: 'red' } });
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual([2]);
  });

  it('routes from exchange to exchange; an internal exchange refuses publishers', async () => {
    const { bystander } = given;
    const [outer, inner, queue] = [
      bystander.freeExchangeName(),
      bystander.freeExchangeName(),
      bystander.freeQueueName(),
    ];
    const values = await consuming(queue, {
      exchanges: [
        { name: outer, type: 'direct' },
        { name: inner, type: 'fanout', internal: true },
      ],
      queues: [{ name: queue }],
      bindings: [
        { exchange: outer, toExchange: inner, routingKey: 'on' },
        { exchange: inner, queue },
      ],
    });
    await bystander.publish(outer, 'on', 'over two exchanges');
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual(['over two exchanges']);
    await expect(bystander.publish(inner, '', 'straight in')).rejects.toThrow();
  });

  it('routes what an exchange cannot route to its alternate exchange', async () => {
    const { bystander } = given;
    const [exchange, alternate, queue] = [
      bystander.freeExchangeName(),
      bystander.freeExchangeName(),
      bystander.freeQueueName(),
    ];
    const values = await consuming(queue, {
      exchanges: [
        { name: alternate, type: 'fanout' },
        { name: exchange, type: 'direct', alternateExchange: alternate },
      ],
      queues: [{ name: queue }],
      bindings: [{ exchange: alternate, queue }],
    });
    await bystander.publish(exchange, 'nowhere', 'astray');
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual(['astray']);
  });

  it('dead-letters rejected messages to the queue of `deadLetter`', async () => {
    const { bystander } = given;
    const [queue, dead] = [bystander.freeQueueName(), bystander.freeQueueName()];
    const values = await consuming(queue, { queues: [{ name: dead }, { name: queue, deadLetter: { queue: dead } }] });
    await bystander.put(queue, 'bad');
    (await eventually(() => values[0])).reject();
    expect(await eventually(() => bystander.take(dead))).toMatchObject({ body: 'bad' });
    expect(await bystander.count(queue)).toMatchObject({ ready: 0 });
  });

  it('dead-letters through the exchange of `deadLetter`, with its routing key', async () => {
    const { bystander } = given;
    const [exchange, queue, dead] = [
      bystander.freeExchangeName(),
      bystander.freeQueueName(),
      bystander.freeQueueName(),
    ];
    const values = await consuming(queue, {
      exchanges: [{ name: exchange, type: 'direct' }],
      queues: [{ name: dead }, { name: queue, deadLetter: { exchange, routingKey: 'dead' } }],
      bindings: [{ exchange, queue: dead, routingKey: 'dead' }],
    });
    await bystander.put(queue, 'bad');
    (await eventually(() => values[0])).reject();
    expect(await eventually(() => bystander.take(dead))).toMatchObject({ body: 'bad' });
  });

  it('checks a passive exchange, and does not declare it', async () => {
    const { bystander, newConnection } = given;
    const [missing, queue] = [uniqueName('exchange'), bystander.freeQueueName()];
    const connection = newConnection({ reopen: { initialAttempts: 1 } });
    const collected = collect(
      consume(connection, { queue, topology: { exchanges: [{ name: missing, type: 'fanout', passive: true }] } }),
    );
    await eventually(() => collected.error);
    expect(collected.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    await expect(bystander.onChannel((channel) => channel.checkExchange(missing))).rejects.toThrow();
  });
});
