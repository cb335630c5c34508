import { InstanceQueue, handle } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { retryingConsumer } from '../../support/retrying-consumer';
import { eventually, until } from '../../support/waiting';

const broker = sharedBroker();
const { url } = broker;
let bystander: Bystander;
let queue: string;
let dead: string;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = bystander.freeQueueName();
  dead = await bystander.declareQueue({}, `${queue}.dead`);
});
afterEach(closeAll);
/** Registers the wait queue to be deleted after the test. */
const waiting = (delay: number, more = ''): string => bystander.deletesQueue(`${queue}.retry.${String(delay)}${more}`);

describe.each(['classic', 'quorum'] as const)('retry on a %s queue', (type) => {
  it('runs a failing message `attempts` times, `delay` apart, then dead-letters it', async () => {
    waiting(300);
    const spec = { name: queue, type, deadLetter: { queue: dead } };
    const { front, runs, handled } = retryingConsumer(url, spec, { attempts: 3, delay: 300 });
    await front.send({ queue, body: 'bad', messageId: 'm1' });
    const [letter] = await bystander.takeAtLeast(dead, 1);
    expect(runs.map(({ message }) => message.deliveryCount)).toEqual([0, 1, 2]);
    const gaps = runs.slice(1).map(({ at }, i) => at - runs[i]!.at);
    for (const gap of gaps) expect(gap).toBeGreaterThan(290);
    expect(handled.values.map(({ settlement, sent }) => [settlement, sent])).toEqual([
      ['ack', true],
      ['ack', true],
      ['reject', true],
    ]);
    expect(letter?.properties.messageId).toBe('m1');
    expect((await bystander.count(dead)).ready).toBe(0);
    expect(front.metrics).toMatchObject({ retried: 2, acked: 2, rejected: 1 });
  });

  it('ends when a run succeeds', async () => {
    waiting(50);
    const spec = { name: queue, type };
    const { front, runs, handled } = retryingConsumer(
      url,
      spec,
      { attempts: 5, delay: 50 },
      ({ deliveryCount }) => deliveryCount < 2,
    );
    await front.send({ queue, body: 'good in the end' });
    await eventually(() => handled.values.length === 3);
    expect(runs).toHaveLength(3);
    expect(handled.values.map(({ error }) => error instanceof RangeError)).toEqual([true, true, false]);
    await eventually(async () => (await bystander.count(queue)).ready === 0);
    expect(front.metrics).toMatchObject({ retried: 2, acked: 3, rejected: 0 });
  });
});

describe('a message that waits', () => {
  it('comes back with its id, properties and headers, and with the route it was published to', async () => {
    waiting(50);
    const exchange = bystander.freeExchangeName();
    const [carbon, blind] = [await bystander.declareQueue(), await bystander.declareQueue()];
    await bystander.declareQueue({}, queue);
    await bystander.onChannel(async (channel) => {
      await channel.assertExchange(exchange, 'topic', { durable: false });
      await channel.bindQueue(queue, exchange, 'order.#');
      // CC and BCC are further routing keys.
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
    // The copy is not routed to CC and BCC again.
    expect(await Promise.all([carbon, blind].map((name) => bystander.count(name)))).toEqual([
      { ready: 1, consumers: 0 },
      { ready: 1, consumers: 0 },
    ]);
  });

  it('comes back to the queue in which it failed, and to no other', async () => {
    waiting(50);
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

  it('waits for each delay of a list in turn, and repeats the last', async () => {
    for (const delay of [0, 150]) waiting(delay);
    const { front, runs } = retryingConsumer(url, queue, { attempts: 4, delay: [0, 150] });
    await front.send({ queue, body: 1 });
    await eventually(() => runs.length === 4);
    const gaps = runs.slice(1).map(({ at }, i) => at - runs[i]!.at);
    for (const gap of gaps.slice(1)) expect(gap).toBeGreaterThan(140);
    const names = (await broker.queues()).map(({ name }) => name);
    expect(names.filter((name) => name.startsWith(`${queue}.retry`)).sort()).toEqual([
      `${queue}.retry.0`,
      `${queue}.retry.150`,
    ]);
  });

  it('waits in a quorum queue with `waitIn`, which returns it at least once', async () => {
    waiting(100, '.quorum');
    const { front, runs } = retryingConsumer(url, queue, { attempts: 3, delay: 100, waitIn: 'quorum' });
    await front.send({ queue, body: 1 });
    await eventually(() => runs.length === 3);
    const rows = (await broker.ctl('list_queues', 'name', 'type', 'arguments', '--silent')).split('\n');
    const row = rows.find((line) => line.startsWith(`${queue}.retry.100.quorum\t`));
    expect(row).toMatch(/quorum.*at-least-once/);
    expect(row).not.toMatch(/x-expires/);
  });

  it('comes back to a server-named queue while its connection lasts', async () => {
    const { front, runs } = retryingConsumer(url, { name: '', exclusive: true }, { attempts: 3, delay: 50 });
    await until(front.health$, ({ status }) => status === 'up');
    const [consumer] = front.health.consumers;
    const named = consumer?.status === 'attached' ? consumer.queue : '';
    bystander.deletesQueue(`${named.replace('amq.', '')}.retry.50`);
    await front.send({ queue: named, body: 1 });
    await eventually(() => runs.length === 3);
    expect(runs.map(({ message }) => [message.queue, message.deliveryCount])).toEqual([
      [named, 0],
      [named, 1],
      [named, 2],
    ]);
  });
});

describe('when the attempts are spent', () => {
  it('a copy with the error goes to a route, and the original is acked', async () => {
    waiting(50);
    const { front, runs, handled } = retryingConsumer(url, queue, { attempts: 2, delay: 50, then: { queue: dead } });
    await front.send({ queue, body: { id: 1 }, messageId: 'm1', headers: { mine: true } });
    const [moved] = await bystander.takeAtLeast(dead, 1);
    expect(runs).toHaveLength(2);
    // Handled after the confirm of the copy that has already arrived.
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

  it('with one attempt nothing waits', async () => {
    await bystander.deleteQueue(dead);
    const { front, runs, handled } = retryingConsumer(url, queue, { attempts: 1, delay: 50, then: { queue: dead } });
    await front.send({ queue, body: 1 });
    await eventually(() => handled.values.length === 1);
    // It is declared, like the queue of every route.
    await bystander.takeAtLeast(dead, 1);
    expect(runs).toHaveLength(1);
    expect(await bystander.hasQueue(`${queue}.retry.50`)).toBe(false);
  });

  it.each(['reject', 'move'] as const)('the count starts over in the dead-letter queue (%s)', async (how) => {
    waiting(50);
    bystander.deletesQueue(`${dead}.retry.50`);
    const spec = { name: queue, deadLetter: { queue: dead } };
    const then = how === 'reject' ? 'reject' : { queue: dead };
    const first = retryingConsumer(url, spec, { attempts: 2, delay: 50, then });
    const second = retryingConsumer(url, dead, { attempts: 2, delay: 50 });
    await eventually(() => second.front.health.status === 'up');
    await first.front.send({ queue, body: 1 });
    await eventually(() => second.runs.length === 2);
    expect(second.runs.map(({ message }) => message.deliveryCount)).toEqual([0, 1]);
  });

  it.each([
    ['reject', 'another client'],
    ['reject', 'send'],
    ['move', 'another client'],
    ['move', 'send'],
  ] as const)('and it starts over for a message that is put back by hand (%s, by %s)', async (how, by) => {
    waiting(50);
    const spec = { name: queue, deadLetter: { queue: dead } };
    const then = how === 'reject' ? 'reject' : { queue: dead };
    const { front, runs } = retryingConsumer(url, spec, { attempts: 2, delay: 50, then });
    await front.send({ queue, body: 1 });
    const [letter] = await bystander.takeAtLeast(dead, 1);
    const { content, properties } = letter!;
    const contentType = 'application/json';
    const headers = properties.headers ?? {};
    if (by === 'send') await front.send({ queue, body: content, contentType, headers });
    else await bystander.publishRaw('', queue, [content], { contentType, headers });
    await bystander.takeAtLeast(dead, 1);
    expect(runs.map(({ message }) => message.deliveryCount)).toEqual([0, 1, 0, 1]);
  });
});

describe('a retry that cannot be made', () => {
  it('for lack of room in the headers leaves the message to the default policy, with both errors', async () => {
    waiting(50);
    const { front, runs, handled } = retryingConsumer(url, queue, { attempts: 9, delay: 50 });
    await front.send({ queue, body: 1, headers: { large: 'x'.repeat(65_300) } });
    await eventually(() => handled.values.length === 2);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['requeue', 'reject']);
    expect(runs).toHaveLength(2);
    const { errors } = handled.values[0]!.error as AggregateError;
    expect(errors).toEqual([expect.any(RangeError), expect.objectContaining({ code: 'PUBLISH_INVALID' })]);
  });

  it('is the decision of a policy of your own that calls it for some messages', async () => {
    waiting(50);
    const front = closing(new InstanceQueue(url));
    const retry = front.retry({ attempts: 3, delay: 50 });
    const seen: unknown[] = [];
    front
      .consume({ queue })
      .pipe(
        handle(
          () => {
            throw new TypeError('a bug');
          },
          { onError: (error, message) => (message.body === 'patient' ? retry(error, message) : 'reject') },
        ),
      )
      .subscribe(({ message, settlement }) => seen.push([message.body, settlement]));
    for (const body of ['hasty', 'patient']) await front.send({ queue, body });
    await eventually(() => seen.length === 4);
    expect(seen).toEqual([
      ['hasty', 'reject'],
      ['patient', 'ack'],
      ['patient', 'ack'],
      ['patient', 'reject'],
    ]);
  });
});
