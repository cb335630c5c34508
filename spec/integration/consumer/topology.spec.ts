import { Connection, Consumer, consume, type Delivery, type Topology } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing, uniqueName } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('the topology of a consumer', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  beforeEach(async () => {
    side = await Bystander.at(url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  /** Consumes and waits until attached. */
  async function consuming(queue: string, topology: Topology): Promise<readonly Delivery<unknown>[]> {
    const consumer = closing(new Consumer(closing(new Connection(url)), { queue, topology }));
    const { values } = gather(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    return values;
  }
  const bodies = (values: readonly Delivery<unknown>[]): unknown[] => values.map(({ body }) => body);

  it('stands before the consumer attaches: exchanges, queues, bindings, prefetch, consume', async () => {
    const proxy = closing(await FaultProxy.before(url));
    const log = new FrameLog(proxy);
    const [exchange, queue] = [side.tidiesExchange(), side.tidies()];
    const topology = {
      exchanges: [{ name: exchange, type: 'fanout' }],
      queues: [{ name: queue }],
      bindings: [{ exchange, queue }],
    };
    gather(consume(closing(new Connection(proxy.url(url))), { queue, topology }));
    await eventually(() => log.of('basic.consume-ok').length === 1);
    const steps = log.methods('toBroker').filter((name) => /^(exchange|queue|basic)\./.test(name));
    expect(steps).toEqual(['exchange.declare', 'queue.declare', 'queue.bind', 'basic.qos', 'basic.consume']);
    const methods = log.frames.filter(({ type }) => type === 'method').map(({ name }) => name);
    expect(methods.indexOf('queue.bind-ok')).toBeLessThan(methods.indexOf('basic.consume'));
  });

  it('routes by key through a topic exchange', async () => {
    const [exchange, queue] = [side.tidiesExchange(), side.tidies()];
    const values = await consuming(queue, {
      exchanges: [{ name: exchange, type: 'topic' }],
      queues: [{ name: queue }],
      bindings: [{ exchange, queue, routingKey: 'order.*' }],
    });
    await side.publish(exchange, 'invoice.new', 'not for us');
    await side.publish(exchange, 'order.new', 'for us');
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual(['for us']);
    expect(values[0]).toMatchObject({ exchange, routingKey: 'order.new', queue });
  });

  it('routes by headers, given as the arguments of a binding', async () => {
    const [exchange, queue] = [side.tidiesExchange(), side.tidies()];
    const values = await consuming(queue, {
      exchanges: [{ name: exchange, type: 'headers' }],
      queues: [{ name: queue }],
      bindings: [{ exchange, queue, arguments: { 'x-match': 'all', colour: 'red' } }],
    });
    const contentType = 'application/json';
    await side.raw(exchange, '', [Buffer.from('1')], { contentType, headers: { colour: 'blue' } });
    await side.raw(exchange, '', [Buffer.from('2')], { contentType, headers: { colour: 'red' } });
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual([2]);
  });

  it('routes from exchange to exchange, the inner one closed to publishers', async () => {
    const [outer, inner, queue] = [side.tidiesExchange(), side.tidiesExchange(), side.tidies()];
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
    await side.publish(outer, 'on', 'over two exchanges');
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual(['over two exchanges']);
    await expect(side.publish(inner, '', 'straight in')).rejects.toThrow();
  });

  it('takes what an exchange cannot route to its alternate exchange', async () => {
    const [exchange, alternate, queue] = [side.tidiesExchange(), side.tidiesExchange(), side.tidies()];
    const values = await consuming(queue, {
      exchanges: [
        { name: alternate, type: 'fanout' },
        { name: exchange, type: 'direct', alternateExchange: alternate },
      ],
      queues: [{ name: queue }],
      bindings: [{ exchange: alternate, queue }],
    });
    await side.publish(exchange, 'nowhere', 'astray');
    await eventually(() => values.length > 0);
    expect(bodies(values)).toEqual(['astray']);
  });

  it('dead-letters what is rejected to the queue of the route', async () => {
    const [queue, dead] = [side.tidies(), side.tidies()];
    const values = await consuming(queue, { queues: [{ name: dead }, { name: queue, deadLetter: { queue: dead } }] });
    await side.put(queue, 'bad');
    (await eventually(() => values[0])).reject();
    expect(await eventually(() => side.take(dead))).toMatchObject({ body: 'bad' });
    expect(await side.count(queue)).toMatchObject({ ready: 0 });
  });

  it('dead-letters through an exchange, with the routing key of the route', async () => {
    const [exchange, queue, dead] = [side.tidiesExchange(), side.tidies(), side.tidies()];
    const values = await consuming(queue, {
      exchanges: [{ name: exchange, type: 'direct' }],
      queues: [{ name: dead }, { name: queue, deadLetter: { exchange, routingKey: 'dead' } }],
      bindings: [{ exchange, queue: dead, routingKey: 'dead' }],
    });
    await side.put(queue, 'bad');
    (await eventually(() => values[0])).reject();
    expect(await eventually(() => side.take(dead))).toMatchObject({ body: 'bad' });
  });

  it('checks a passive exchange and makes none', async () => {
    const [missing, queue] = [uniqueName('exchange'), side.tidies()];
    const connection = closing(new Connection({ url, reopen: { initialAttempts: 1 } }));
    const gathered = gather(
      consume(connection, { queue, topology: { exchanges: [{ name: missing, type: 'fanout', passive: true }] } }),
    );
    await eventually(() => gathered.error);
    expect(gathered.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    await expect(side.ask((channel) => channel.checkExchange(missing))).rejects.toThrow();
  });
});
