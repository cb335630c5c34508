import { handle, type Delivery, type Message } from 'instance-queue';
import { Subject } from 'rxjs';
import { isAtLeast } from '../brokers/version';
import { collect } from '../collect';
import { eventually, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What queues do with messages, on any broker. */
export function queueingLaws(given: { readonly broker: BrokerUnderTest }): void {
  it('messages of a higher priority go first, as far as the queue counts; what comes back goes to its place', async () => {
    const name = await given.broker.declareQueue({ maxPriority: 5 });
    const queue = given.broker.newClient();
    const sent = [
      ['none', undefined],
      ['three', 3],
      ['beyond', 9],
      ['five', 5],
      ['zero', 0],
      ['three again', 3],
    ] as const;
    for (const [body, priority] of sent)
      await queue.send({ queue: name, body, ...(priority !== undefined && { priority }) });
    const bodies: unknown[] = [];
    queue.consume({ queue: name, prefetch: 1 }).subscribe((delivery) => {
      bodies.push(delivery.body);
      if (delivery.redelivered) delivery.ack();
      else if (delivery.body === 'beyond') delivery.release();
      else delivery.ack();
    });
    await eventually(() => bodies.length === 7);
    expect(bodies).toEqual(['beyond', 'beyond', 'five', 'three', 'three again', 'none', 'zero']);
  });

  it('a quorum queue knows as many priorities as its RabbitMQ does, and a message without one has a middle one', async () => {
    const name = await given.broker.declareQueue({ type: 'quorum' });
    const queue = given.broker.newClient();
    const sent = [['none'], ['nine', 9], ['zero', 0], ['five', 5], ['four', 4], ['nine again', 9]] as const;
    for (const [body, priority] of sent) {
      await queue.send({ queue: name, body, ...(priority !== undefined && { priority }) });
    }
    const bodies: unknown[] = [];
    queue.consume({ queue: name, prefetch: 1 }).subscribe((delivery) => {
      bodies.push(delivery.body);
      delivery.ack();
    });
    await eventually(() => bodies.length === sent.length);
    const alike = sent.map(([body]) => body);
    // Two of a high priority, then one of the others.
    const inTurns = ['nine', 'five', 'none', 'nine again', 'zero', 'four'];
    const strict = ['nine', 'nine again', 'five', 'none', 'four', 'zero'];
    const expected = isAtLeast(given.broker, '4.3') ? strict : isAtLeast(given.broker, '4.0') ? inTurns : alike;
    expect(bodies).toEqual(expected);
  });

  it.each([
    ['with a delivery limit goes in front', 5],
    ['without one goes to the end', undefined],
  ])('what comes back to a quorum queue %s, in the order in which it comes back', async (_, limit) => {
    const limited = limit !== undefined && { deliveryLimit: limit };
    const name = await given.broker.declareQueue({ type: 'quorum', ...limited });
    const queue = given.broker.newClient();
    for (const body of [1, 2, 3, 'held', 4]) await queue.send({ queue: name, body });
    const bodies: unknown[] = [];
    const held: Delivery<unknown>[] = [];
    const pause = new Subject<boolean>();
    queue.consume({ queue: name, prefetch: 4, pause }).subscribe((delivery) => held.push(delivery));
    await eventually(() => held.length === 4);
    pause.next(true);
    await until(queue.health$, ({ consumers: [consumer] }) => consumer?.status === 'paused');
    // One stays unsettled, so that the channel of the paused consumer stays open: when it is closed, what is on its way to the end goes
    // in front.
    for (const i of [2, 0, 1]) held[i]?.release();
    await eventually(async () => (await given.broker.count(name)).ready === 4);
    queue.consume({ queue: name, prefetch: 1 }).subscribe((delivery) => {
      bodies.push(delivery.body);
      delivery.ack();
    });
    await eventually(() => bodies.length === 4);
    // Since 4.0 there is a limit by default.
    const inFront = limit !== undefined || isAtLeast(given.broker, '4.0');
    expect(bodies).toEqual(inFront ? [3, 1, 2, 4] : [4, 3, 1, 2]);
  });

  it('a retry is not late because messages of another priority wait for theirs', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const began = performance.now();
    let retried: number | undefined;
    const work = ({ body, deliveryCount }: Message<unknown>): void => {
      if (deliveryCount === 0) throw new Error('fails once');
      if (body === 'low') retried ??= performance.now() - began;
    };
    const retry = queue.retry({ attempts: 2, delay: 300, waitIn: 'quorum' });
    queue
      .consume({ queue: name })
      .pipe(handle(work, { onError: retry }))
      .subscribe();
    await queue.send({ queue: name, body: 'low', priority: 0 });
    for (let at = began + 50; retried === undefined && at < began + 2000; at += 50) {
      await queue.send({ queue: name, body: 'another' });
      await eventually(() => retried !== undefined || performance.now() >= at);
    }
    expect(retried).toBeLessThan(1000);
    for (const wait of ['quorum', 'quorum.p0']) await given.broker.deleteQueue(`${name}.retry.300.${wait}`);
  });

  it('a queue without priorities keeps the order', async () => {
    const name = await given.broker.declareQueue({ type: 'classic' });
    const queue = given.broker.newClient();
    for (const priority of [1, 9, 5]) await queue.send({ queue: name, body: priority, priority });
    const bodies = collect(queue.consume({ queue: name, noAck: true }));
    await eventually(() => bodies.values.length === 3);
    expect(bodies.values.map(({ body }) => body)).toEqual([1, 9, 5]);
  });

  it('a message without headers arrives with empty ones', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    await queue.send({ queue: name, body: 1, messageId: 'm1' });
    const { properties } = await until(queue.consume({ queue: name }), () => true);
    expect(properties).toEqual({ messageId: 'm1', contentType: 'application/json', headers: {} });
  });

  it('a message that lives for no time reaches a consumer that has room for it, and nobody else', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ messageTtl: 0, deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    await queue.send({ queue: name, body: 'early' });
    expect(await given.broker.takeMessages(dead, 1)).toMatchObject([
      { body: 'early', headers: { 'x-death': [{ reason: 'expired' }] } },
    ]);
    const deliveries = collect(queue.consume({ queue: name, prefetch: 1 }));
    await until(queue.health$, ({ status }) => status === 'up');
    await queue.send({ queue: name, body: 'in time' });
    await eventually(() => deliveries.values.length === 1);
    await queue.send({ queue: name, body: 'late' });
    expect(await given.broker.takeMessages(dead, 1)).toMatchObject([{ body: 'late' }]);
    expect(deliveries.values.map(({ body }) => body)).toEqual(['in time']);
  });

  it('of single active consumers one gets everything, until it leaves', async () => {
    const name = await given.broker.declareQueue({ singleActiveConsumer: true });
    const queue = given.broker.newClient();
    const ack = (delivery: Delivery<unknown>): boolean => delivery.ack();
    const first = queue.consumer({ queue: name });
    const one: unknown[] = [];
    const other: unknown[] = [];
    first.deliveries$.subscribe((delivery) => one.push(delivery.body) && ack(delivery));
    await until(first.state$, ({ status }) => status === 'attached');
    const second = queue.consumer({ queue: name });
    second.deliveries$.subscribe((delivery) => other.push(delivery.body) && ack(delivery));
    await until(second.state$, ({ status }) => status === 'attached');
    for (const body of [1, 2, 3]) await queue.send({ queue: name, body });
    await eventually(() => one.length === 3);
    await first.close();
    for (const body of [4, 5]) await queue.send({ queue: name, body });
    await eventually(() => other.length === 2);
    expect([one, other]).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  it('the next single active consumer of a quorum queue gets what waits as soon as the one before is cancelled', async () => {
    // A classic queue of RabbitMQ 3.10 gives it nothing before the one before has settled what it has.
    const name = await given.broker.declareQueue({ type: 'quorum', singleActiveConsumer: true });
    const queue = given.broker.newClient();
    const first = queue.consumer<number>({ queue: name, prefetch: 1 });
    const taken: Delivery<number>[] = [];
    first.deliveries$.subscribe((delivery) => taken.push(delivery));
    await until(first.state$, ({ status }) => status === 'attached');
    const second = queue.consumer<number>({ queue: name });
    const bodies: number[] = [];
    second.deliveries$.subscribe((delivery) => bodies.push(delivery.body) && delivery.ack());
    await until(second.state$, ({ status }) => status === 'attached');
    for (const body of [1, 2, 3]) await queue.send({ queue: name, body });
    await eventually(() => taken.length === 1);
    const closing = first.close();
    await eventually(() => bodies.length === 2);
    expect(bodies).toEqual([2, 3]);
    taken[0]?.ack();
    await closing;
  });

  it('a quorum queue counts the deliveries that failed, and lets go at its limit', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ type: 'quorum', deliveryLimit: 2, deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    const counts: [number, unknown][] = [];
    queue.consume({ queue: name, prefetch: 1 }).subscribe((delivery) => {
      counts.push([delivery.deliveryCount, delivery.properties.headers?.['x-delivery-count'] ?? 0]);
      delivery.requeue();
    });
    await queue.send({ queue: name, body: 1 });
    const [letter] = await given.broker.takeMessages(dead, 1);
    expect(counts).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
    ]);
    expect(letter?.headers).toMatchObject({
      'x-death': [{ reason: 'delivery_limit', queue: name, count: 1, exchange: '', 'routing-keys': [name] }],
      'x-first-death-reason': 'delivery_limit',
      'x-first-death-queue': name,
      'x-first-death-exchange': '',
    });
  });

  it('a message that expires in circles is dropped; one that was rejected on its way is not', async () => {
    const [circle, waiting] = [given.broker.freeQueueName(), given.broker.freeQueueName()];
    const queue = given.broker.newClient({
      topology: {
        queues: [
          { name: circle, messageTtl: 20, deadLetter: { queue: circle } },
          { name: waiting, messageTtl: 20, deadLetter: { queue: `${waiting}.back` } },
          { name: `${waiting}.back`, deadLetter: { queue: waiting }, autoDelete: true },
        ],
      },
    });
    const rounds: unknown[] = [];
    const back = queue.consume({ queue: `${waiting}.back`, prefetch: 1 }).subscribe((delivery) => {
      rounds.push(delivery.properties.headers?.['x-death']);
      if (rounds.length < 3) delivery.reject();
      else delivery.ack();
    });
    await until(queue.health$, ({ status }) => status === 'up');
    await queue.send({ queue: waiting, body: 1 });
    await queue.send({ queue: circle, body: 1 });
    await eventually(() => rounds.length === 3);
    expect(rounds[2]).toMatchObject([
      { queue: waiting, reason: 'expired', count: 3 },
      { queue: `${waiting}.back`, reason: 'rejected', count: 2 },
    ]);
    await eventually(async () => (await given.broker.count(circle)).ready === 0);
    back.unsubscribe();
  });

  it('a queue of bounded bytes lets its oldest go', async () => {
    const name = await given.broker.declareQueue({ arguments: { 'x-max-length-bytes': 10 } });
    const queue = given.broker.newClient();
    for (const body of [12345, 67890, 123]) await queue.send({ queue: name, body });
    expect((await given.broker.takeMessages(name, 2)).map(({ body }) => body)).toEqual([67890, 123]);
  });

  it('a full queue that rejects can dead-letter what it rejects', async () => {
    const dead = await given.broker.declareQueue();
    const spec = { maxLength: 1, overflow: 'reject-publish-dlx', deadLetter: { queue: dead } } as const;
    const name = await given.broker.declareQueue(spec);
    const queue = given.broker.newClient({ producer: { onNack: 'reject' } });
    await queue.send({ queue: name, body: 1 });
    await expect(queue.send({ queue: name, body: 2 })).rejects.toMatchObject({ code: 'PUBLISH_NACKED' });
    expect(await given.broker.takeMessages(dead, 1)).toMatchObject([
      { body: 2, headers: { 'x-death': [{ reason: 'maxlen' }] } },
    ]);
  });

  it('a message that a full queue dead-letters is not sent again, where its spec is known', async () => {
    const dead = await given.broker.declareQueue();
    const name = given.broker.freeQueueName();
    const spec = { name, maxLength: 1, overflow: 'reject-publish-dlx', deadLetter: { queue: dead } } as const;
    const queue = given.broker.newClient({ topology: { queues: [{ ...spec, type: 'classic' }] } });
    await queue.send({ queue: name, body: 1 });
    const refused = queue.send({ queue: name, body: 2 });
    await expect(refused).rejects.toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    await expect(refused).rejects.toThrow("dead-lettered it (`overflow: 'reject-publish-dlx'`)");
    expect(await given.broker.takeMessages(dead, 1)).toMatchObject([{ body: 2 }]);
    expect((await given.broker.count(dead)).ready).toBe(0);
    expect(queue.metrics).toMatchObject({ nacked: 1, resent: 0 });
  });

  it('the error of a message with copies does not name the queue that refused it, which nobody knows', async () => {
    const name = given.broker.freeQueueName();
    const spec = { name, type: 'classic', maxLength: 1, overflow: 'reject-publish-dlx' } as const;
    const copy = await given.broker.declareQueue();
    const queue = given.broker.newClient({ topology: { queues: [spec] }, producer: { onNack: 'reject' } });
    await queue.send({ queue: name, body: 1 });
    const refused = queue.send({ queue: name, body: 2, headers: { CC: [copy] } });
    await expect(refused).rejects.toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: true });
    await expect(refused).rejects.toThrow('Other queues may have it.');
    expect(await given.broker.takeMessages(copy, 1)).toMatchObject([{ body: 2 }]);
  });

  it('copies go where their headers say, and only those in CC are seen', async () => {
    const [name, copy, blind] = [
      await given.broker.declareQueue(),
      await given.broker.declareQueue(),
      await given.broker.declareQueue(),
    ];
    const queue = given.broker.newClient();
    await queue.send({ queue: name, body: 1, headers: { CC: [copy], BCC: [blind], mine: 1 } });
    for (const place of [name, copy, blind]) {
      const [letter] = await given.broker.takeMessages(place, 1);
      expect(letter).toMatchObject({ body: 1 });
      expect(letter?.headers).toEqual({ CC: [copy], mine: 1 });
    }
  });

  it('headers exchanges compare values, numbers and lists included; a binding without a value asks for presence', async () => {
    const [exchange, plain, present, any, withX] = ['', '', '', '', ''].map(() => given.broker.freeQueueName());
    const names = [plain!, present!, any!, withX!];
    const bind = (queue: string, args: Record<string, unknown>) => ({ exchange: exchange!, queue, arguments: args });
    const queue = given.broker.newClient({
      topology: {
        exchanges: [{ name: exchange!, type: 'headers', autoDelete: true }],
        queues: names.map((name) => ({ name })),
        bindings: [
          bind(plain!, { n: 1, 'x-ignored': 5 }),
          bind(present!, { n: null }),
          bind(any!, { 'x-match': 'any', n: 1, list: ['a'] }),
          bind(withX!, { 'x-match': 'all-with-x', 'x-kind': 'k' }),
        ],
      },
    });
    const send = (body: string, headers: Record<string, unknown>) =>
      queue.send({ exchange: exchange!, body, headers, mandatory: false });
    await send('number', { n: 1 });
    await send('string', { n: '1' });
    await send('long', { n: { '!': 'long', value: 1 } });
    await send('list', { list: ['a'] });
    await send('x', { 'x-kind': 'k' });
    const got = async (name: string, count: number) =>
      (await given.broker.takeMessages(name, count)).map(({ body }) => body);
    expect(await got(plain!, 2)).toEqual(['number', 'long']);
    expect(await got(present!, 3)).toEqual(['number', 'string', 'long']);
    expect(await got(any!, 3)).toEqual(['number', 'long', 'list']);
    expect(await got(withX!, 1)).toEqual(['x']);
  });

  it('an empty routing key has no words', async () => {
    const [one, many] = [given.broker.freeQueueName(), given.broker.freeQueueName()];
    const exchange = given.broker.freeQueueName();
    const queue = given.broker.newClient({
      topology: {
        exchanges: [{ name: exchange, type: 'topic', autoDelete: true }],
        queues: [{ name: one }, { name: many }],
        bindings: [
          { exchange, queue: one, routingKey: '*' },
          { exchange, queue: many, routingKey: '#' },
        ],
      },
    });
    await queue.send({ exchange, routingKey: '', body: 'none' });
    await queue.send({ exchange, routingKey: 'a', body: 'one' });
    expect((await given.broker.takeMessages(one, 1)).map(({ body }) => body)).toEqual(['one']);
    expect((await given.broker.takeMessages(many, 2)).map(({ body }) => body)).toEqual(['none', 'one']);
  });

  it('exchanges that are bound in a circle route a message once', async () => {
    const [one, other] = [given.broker.freeQueueName(), given.broker.freeQueueName()];
    const name = await given.broker.declareQueue();
    const exchanges = [one, other].map((exchange) => ({ name: exchange, type: 'fanout', autoDelete: true }) as const);
    const bindings = [
      { exchange: one, toExchange: other },
      { exchange: other, toExchange: one },
      { exchange: one, queue: name },
      { exchange: other, queue: name },
    ];
    const queue = given.broker.newClient({ topology: { exchanges, bindings } });
    for (const [body, exchange] of [one, other, one].entries()) await queue.send({ exchange, body });
    expect((await given.broker.takeMessages(name, 3)).map(({ body }) => body)).toEqual([0, 1, 2]);
    for (const exchange of [one, other]) await given.broker.deleteExchange(exchange);
  });

  it('a message whose alternate exchange is missing is returned', async () => {
    const exchange = given.broker.freeQueueName();
    const spec = { name: exchange, type: 'direct', alternateExchange: given.broker.freeQueueName() } as const;
    const queue = given.broker.newClient({ topology: { exchanges: [spec] } });
    await expect(queue.send({ exchange, body: 1 })).rejects.toMatchObject({ code: 'PUBLISH_RETURNED' });
    await given.broker.deleteExchange(exchange);
  });

  it('an exchange that is deleted with its last binding takes the bindings to it along', async () => {
    const [near, far, name] = [
      given.broker.freeQueueName(),
      given.broker.freeQueueName(),
      given.broker.freeQueueName(),
    ];
    const queue = given.broker.newClient({
      topology: {
        exchanges: [
          { name: near, type: 'fanout', autoDelete: true },
          { name: far, type: 'fanout', autoDelete: true },
        ],
        queues: [{ name }],
        bindings: [
          { exchange: near, toExchange: far },
          { exchange: far, queue: name },
        ],
      },
    });
    await queue.send({ exchange: near, body: 1 });
    expect(await given.broker.takeMessages(name, 1)).toHaveLength(1);
    await given.broker.deleteQueue(name);
    // Of a client that does not declare it again.
    await expect(given.broker.newClient().send({ exchange: near, body: 2 })).rejects.toMatchObject({
      code: 'PUBLISH_REFUSED',
      replyCode: 404,
    });
  });

  it('a message that a handler of a retry lets wait keeps its place in the story: first death, reason, keys', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const seen: Message<unknown>[] = [];
    const work = (message: Message<unknown>): void => {
      seen.push(message);
      if (seen.length === 1) throw new RangeError('no');
    };
    const onError = queue.retry({ attempts: 2, delay: 30 });
    queue.consume({ queue: name }).pipe(handle(work, { onError })).subscribe();
    await queue.send({ queue: name, body: 1 });
    await eventually(() => seen.length === 2);
    const wait = `${name}.retry.30`;
    expect(seen[1]?.properties.headers).toMatchObject({
      'x-death': [{ queue: wait, reason: 'expired', count: 1, exchange: '', 'routing-keys': [wait] }],
      'x-first-death-queue': wait,
      'x-first-death-reason': 'expired',
      'x-first-death-exchange': '',
    });
    await given.broker.deleteQueue(wait);
  });
}
