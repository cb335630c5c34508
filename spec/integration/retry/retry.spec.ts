import { InstanceQueue, handle } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { closing } from '../../support/closing';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { retryingConsumer } from '../../support/retrying-consumer';
import { eventually, until } from '../../support/waiting';

const given = rabbitmqFixture();
const { broker, url } = given;
let queue: string;
let dead: string;
beforeEach(async () => {
  queue = given.bystander.freeQueueName();
  dead = await given.bystander.declareQueue({}, `${queue}.dead`);
});
/** The wait queue of this delay, which is deleted after the test. */
const waitQueue = (delay: number, more = ''): string =>
  given.bystander.deletesQueue(`${queue}.retry.${String(delay)}${more}`);

describe.each(['classic', 'quorum'] as const)('retry on a %s queue', (type) => {
  it('handles a failing message `attempts` times, with the delay in between, then dead-letters it', async () => {
    waitQueue(300);
    const spec = { name: queue, type, deadLetter: { queue: dead } };
    const { client, runs, handled } = retryingConsumer(url, spec, { attempts: 3, delay: 300 });
    await client.send({ queue, body: 'bad', messageId: 'm1' });
    const [message] = await given.bystander.takeAtLeast(dead, 1);
    expect(runs.map(({ message }) => message.deliveryCount)).toEqual([0, 1, 2]);
    const gaps = runs.slice(1).map(({ at }, i) => at - runs[i]!.at);
    for (const gap of gaps) expect(gap).toBeGreaterThan(290);
    expect(handled.values.map(({ settlement, sent }) => [settlement, sent])).toEqual([
      ['ack', true],
      ['ack', true],
      ['reject', true],
    ]);
    expect(message?.properties.messageId).toBe('m1');
    expect((await given.bystander.count(dead)).ready).toBe(0);
    expect(client.metrics).toMatchObject({ retried: 2, acked: 2, rejected: 1 });
  });

  it('ends when a run succeeds', async () => {
    waitQueue(50);
    const spec = { name: queue, type };
    const { client, runs, handled } = retryingConsumer(
      url,
      spec,
      { attempts: 5, delay: 50 },
      ({ deliveryCount }) => deliveryCount < 2,
    );
    await client.send({ queue, body: 'good in the end' });
    await eventually(() => handled.values.length === 3);
    expect(runs).toHaveLength(3);
    expect(handled.values.map(({ error }) => error instanceof RangeError)).toEqual([true, true, false]);
    await eventually(async () => (await given.bystander.count(queue)).ready === 0);
    expect(client.metrics).toMatchObject({ retried: 2, acked: 3, rejected: 0 });
  });
});

describe('a message that waits for a retry', () => {
  it('comes back with its id, properties and headers, and with its original route', async () => {
    const { bystander } = given;
    waitQueue(50);
    const exchange = bystander.freeExchangeName();
    const [carbon, blind] = [await bystander.declareQueue(), await bystander.declareQueue()];
    await bystander.declareQueue({}, queue);
    await bystander.onChannel(async (channel) => {
      await channel.assertExchange(exchange, 'topic', { durable: false });
      await channel.bindQueue(queue, exchange, 'order.#');
      // CC and BCC hold further routing keys.
      for (const name of [carbon, blind]) await channel.bindQueue(name, exchange, name);
    });
    const { runs, handled } = retryingConsumer(
      url,
      queue,
      { attempts: 2, delay: 50 },
      ({ deliveryCount }) => deliveryCount === 0,
    );
    await bystander.publishRaw(exchange, 'order.paid', [Buffer.from('{"id":1}')], {
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      messageId: 'm1',
      correlationId: 'c1',
      replyTo: 'answers',
      type: 'order',
      appId: 'shop',
      userId: 'guest',
      timestamp: 1_700_000_000,
      priority: 4,
      expiration: '60000',
      headers: { mine: { a: [1, 'two'] }, CC: [carbon], BCC: [blind] },
    });
    await eventually(() => handled.values.length === 2);
    const [first, second] = runs.map(({ message }) => message);
    const { headers: _, expiration, userId, ...kept } = first!.properties;
    expect({ expiration, userId }).toEqual({ expiration: 60_000, userId: 'guest' });
    expect(second!.properties).toMatchObject(kept);
    expect(second!.properties).not.toHaveProperty('expiration');
    expect(second).toMatchObject({ body: { id: 1 }, exchange, routingKey: 'order.paid', queue, deliveryCount: 1 });
    expect(second!.properties.headers).toMatchObject({
      mine: { a: [1, 'two'] },
      'x-instance-queue-attempts': 1,
      'x-instance-queue-queue': queue,
      'x-instance-queue-exchange': exchange,
      'x-instance-queue-routing-key': 'order.paid',
      'x-instance-queue-error-name': 'RangeError',
      'x-instance-queue-error-message': 'run 1 failed',
      'x-instance-queue-user-id': 'guest',
    });
    const since = Date.parse(String(second!.properties.headers?.['x-instance-queue-first-failed']));
    expect(Math.abs(Date.now() - since)).toBeLessThan(60_000);
    // The copy does not go to the CC and BCC queues again.
    expect(await Promise.all([carbon, blind].map((name) => bystander.count(name)))).toEqual([
      { ready: 1, consumers: 0 },
      { ready: 1, consumers: 0 },
    ]);
  });

  it('comes back to the queue in which it failed, and to no other queue', async () => {
    const { bystander } = given;
    waitQueue(50);
    const other = await bystander.declareQueue();
    await bystander.declareQueue({}, queue);
    await bystander.onChannel(async (channel) => {
      for (const name of [queue, other]) await channel.bindQueue(name, 'amq.fanout', '');
    });
    const { runs } = retryingConsumer(url, queue, { attempts: 3, delay: 50 });
    await bystander.publish('amq.fanout', '', 'both');
    await eventually(() => runs.length === 3);
    expect((await bystander.count(other)).ready).toBe(1);
  });

  it('waits by the list of delays, whose last one repeats', async () => {
    for (const delay of [0, 150]) waitQueue(delay);
    const { client, runs } = retryingConsumer(url, queue, { attempts: 4, delay: [0, 150] });
    await client.send({ queue, body: 1 });
    await eventually(() => runs.length === 4);
    const gaps = runs.slice(1).map(({ at }, i) => at - runs[i]!.at);
    for (const gap of gaps.slice(1)) expect(gap).toBeGreaterThan(140);
    const names = (await broker.queues()).map(({ name }) => name);
    expect(names.filter((name) => name.startsWith(`${queue}.retry`)).sort()).toEqual([
      `${queue}.retry.0`,
      `${queue}.retry.150`,
    ]);
  });

  it('waits in a quorum queue with `waitIn: quorum`, which dead-letters at least once', async () => {
    waitQueue(100, '.quorum');
    const { client, runs } = retryingConsumer(url, queue, { attempts: 3, delay: 100, waitIn: 'quorum' });
    await client.send({ queue, body: 1 });
    await eventually(() => runs.length === 3);
    const rows = (await broker.ctl('list_queues', 'name', 'type', 'arguments', '--silent')).split('\n');
    const row = rows.find((line) => line.startsWith(`${queue}.retry.100.quorum\t`));
    expect(row).toMatch(/quorum.*at-least-once/);
    expect(row).not.toMatch(/x-expires/);
  });

  it('comes back to a server-named queue, while its connection lasts', async () => {
    const { client, runs } = retryingConsumer(url, { name: '', exclusive: true }, { attempts: 3, delay: 50 });
    await until(client.health$, ({ status }) => status === 'up');
    const [consumer] = client.health.consumers;
    const named = consumer?.status === 'attached' ? consumer.queue : '';
    given.bystander.deletesQueue(`${named.replace('amq.', '')}.retry.50`);
    await client.send({ queue: named, body: 1 });
    await eventually(() => runs.length === 3);
    expect(runs.map(({ message }) => [message.queue, message.deliveryCount])).toEqual([
      [named, 0],
      [named, 1],
      [named, 2],
    ]);
  });
});

describe('after the last attempt', () => {
  it('a copy with the error goes to the route of `then`, and the original is acked', async () => {
    waitQueue(50);
    const { client, runs, handled } = retryingConsumer(url, queue, { attempts: 2, delay: 50, then: { queue: dead } });
    await client.send({ queue, body: { id: 1 }, messageId: 'm1', headers: { mine: true } });
    const [moved] = await given.bystander.takeAtLeast(dead, 1);
    expect(runs).toHaveLength(2);
    // The copy may be in the queue before its confirm has arrived.
    await eventually(() => handled.values.length === 2);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack']);
    expect(bodies([moved!])).toEqual([{ id: 1 }]);
    expect(moved?.properties).toMatchObject({
      messageId: 'm1',
      deliveryMode: 2,
      headers: {
        mine: true,
        'x-instance-queue-attempts': 2,
        'x-instance-queue-queue': queue,
        'x-instance-queue-error-message': 'run 2 failed',
        'x-instance-queue-routing-key': queue,
        'x-instance-queue-spent': true,
      },
    });
    expect(moved?.properties.headers).not.toHaveProperty('x-death');
  });

  it('of one, no wait queue is declared', async () => {
    const { bystander } = given;
    await bystander.deleteQueue(dead);
    const { client, runs, handled } = retryingConsumer(url, queue, { attempts: 1, delay: 50, then: { queue: dead } });
    await client.send({ queue, body: 1 });
    await eventually(() => handled.values.length === 1);
    // The queue of `then` is declared like that of any route.
    await bystander.takeAtLeast(dead, 1);
    expect(runs).toHaveLength(1);
    expect(await bystander.hasQueue(`${queue}.retry.50`)).toBe(false);
  });

  it.each(['reject', 'move'] as const)('the delivery count starts over in the dead-letter queue (%s)', async (how) => {
    waitQueue(50);
    given.bystander.deletesQueue(`${dead}.retry.50`);
    const spec = { name: queue, deadLetter: { queue: dead } };
    const then = how === 'reject' ? 'reject' : { queue: dead };
    const first = retryingConsumer(url, spec, { attempts: 2, delay: 50, then });
    const second = retryingConsumer(url, dead, { attempts: 2, delay: 50 });
    await eventually(() => second.client.health.status === 'up');
    await first.client.send({ queue, body: 1 });
    await eventually(() => second.runs.length === 2);
    expect(second.runs.map(({ message }) => message.deliveryCount)).toEqual([0, 1]);
  });

  it.each([
    ['reject', 'another client'],
    ['reject', 'send'],
    ['move', 'another client'],
    ['move', 'send'],
  ] as const)('the delivery count starts over for a message that is put back by hand (%s, by %s)', async (how, by) => {
    const { bystander } = given;
    waitQueue(50);
    const spec = { name: queue, deadLetter: { queue: dead } };
    const then = how === 'reject' ? 'reject' : { queue: dead };
    const { client, runs } = retryingConsumer(url, spec, { attempts: 2, delay: 50, then });
    await client.send({ queue, body: 1 });
    const [message] = await bystander.takeAtLeast(dead, 1);
    const { content, properties } = message!;
    const contentType = 'application/json';
    const headers = properties.headers ?? {};
    if (by === 'send') await client.send({ queue, body: content, contentType, headers });
    else await bystander.publishRaw('', queue, [content], { contentType, headers });
    await bystander.takeAtLeast(dead, 1);
    expect(runs.map(({ message }) => message.deliveryCount)).toEqual([0, 1, 0, 1]);
  });
});

describe('retry', () => {
  it('leaves a message without room for its headers to the default policy, and reports why', async () => {
    waitQueue(50);
    const { client, runs, handled } = retryingConsumer(url, queue, { attempts: 9, delay: 50 });
    await client.send({ queue, body: 1, headers: { large: 'x'.repeat(65_300) } });
    await eventually(() => handled.values.length === 2);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['requeue', 'reject']);
    expect(runs).toHaveLength(2);
    const { errors } = handled.values[0]!.error as AggregateError;
    expect(errors).toEqual([expect.any(RangeError), expect.objectContaining({ code: 'PUBLISH_INVALID' })]);
  });

  it('can be called by an error policy', async () => {
    waitQueue(50);
    const client = closing(new InstanceQueue(url));
    const retry = client.retry({ attempts: 3, delay: 50 });
    const seen: unknown[] = [];
    client
      .consume({ queue })
      .pipe(
        handle(
          () => {
            throw new TypeError('a bug');
          },
          { onError: (error, message) => (message.body === 'retried' ? retry(error, message) : 'reject') },
        ),
      )
      .subscribe(({ message, settlement }) => seen.push([message.body, settlement]));
    for (const body of ['rejected', 'retried']) await client.send({ queue, body });
    await eventually(() => seen.length === 4);
    expect(seen).toEqual([
      ['rejected', 'reject'],
      ['retried', 'ack'],
      ['retried', 'ack'],
      ['retried', 'reject'],
    ]);
  });
});
