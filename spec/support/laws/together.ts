import { batch, bytes, handle, type Message } from 'instance-queue';
import { tap } from 'rxjs';
import { collect } from '../collect';
import { publishError } from '../publish-error';
import { eventually, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What holds where sending and consuming meet, on any broker. */
export function togetherLaws(given: { readonly broker: BrokerUnderTest }): void {
  it('health goes from down to up, degrades when the connection is lost, and is up again with the next epoch', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const health: string[] = [];
    queue.health$.subscribe(({ status }) => {
      if (health.at(-1) !== status) health.push(status);
    });
    expect(queue.health.status).toBe('down');
    queue.consume({ queue: name }).subscribe();
    await queue.send({ queue: name, body: 1 });
    await until(queue.health$, ({ status }) => status === 'up');
    await given.broker.disconnect();
    const lost = await until(queue.state$, ({ consumer }) => consumer.status === 'reconnecting');
    expect(lost.consumer).toMatchObject({ status: 'reconnecting', attempt: 1, cause: { code: 'CONNECTION_LOST' } });
    await until(queue.health$, ({ status }) => status === 'degraded');
    await given.broker.reconnect();
    await until(
      queue.health$,
      ({ status, connections: { consumer } }) => status === 'up' && consumer.status === 'connected',
    );
    expect(queue.state).toMatchObject({ producer: { epoch: 2 }, consumer: { epoch: 2 } });
    expect(health).toEqual(['down', 'degraded', 'up', 'degraded', 'up']);
    expect(queue.metrics.reconnects).toBe(2);
  });

  it('bytes arrive as bytes, whatever holds them, in messages and in replies', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const octets = Uint8Array.of(0, 104, 255);
    const arrived = collect(queue.consume({ queue: name, noAck: true }));
    for (const body of [octets, octets.buffer, new DataView(octets.buffer), Buffer.from(octets)]) {
      await queue.send({ queue: name, body });
    }
    await queue.producer({ codec: bytes }).send({ queue: name, body: octets });
    await eventually(() => arrived.values.length === 5);
    for (const { body } of arrived.values) expect(body).toEqual(Buffer.from(octets));

    const asked = await given.broker.declareQueue();
    queue.respond({ queue: asked }, ({ body }) => new Uint8Array(body as Buffer).reverse()).subscribe();
    expect((await queue.request({ queue: asked, body: octets })).body).toEqual(Buffer.from([255, 104, 0]));
  });

  it('what JSON would empty is refused, in messages and in replies', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const error = await publishError(queue.send({ queue: name, body: { prices: new Map([['a', 1]]) } }));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false });
    expect(error.message).toContain('`body.prices` is a Map');
    queue.respond({ queue: name }, () => ({ found: new Set([1]) })).subscribe();
    const reply = await publishError(queue.request({ queue: name, body: 1 }));
    expect(reply).toMatchObject({ code: 'REPLY_ERROR' });
    expect(reply.message).toContain('`body.found` is a Set');
  });

  it('what was received goes out again as it came, whatever its type', async () => {
    const [from, to] = [await given.broker.declareQueue(), await given.broker.declareQueue()];
    const queue = given.broker.newClient();
    const sent: readonly (readonly [contentType: string, content: Buffer])[] = [
      ['text/plain', Buffer.from('hello')],
      ['text/plain; charset=ISO-8859-1', Buffer.of(0xe9, 0x21)],
      ['text/plain; charset=shift_jis', Buffer.of(0x83, 0x65)],
      ['application/json; charset=utf-8', Buffer.from('{"a":[1,"é"]}')],
      ['application/json', Buffer.from('"hello"')],
      ['application/xml', Buffer.from('<a/>')],
      ['image/png', Buffer.of(0x89, 0xff, 0)],
    ];
    for (const [contentType, content] of sent) await given.broker.put(from, content, contentType);
    queue.consume({ queue: from }).subscribe((delivery) => {
      const { properties, body } = delivery;
      void queue.send({ queue: to, ...properties, body }).then(() => delivery.ack());
    });
    const arrived = collect(queue.consume({ queue: to, noAck: true }));
    await eventually(() => arrived.values.length === sent.length);
    expect(arrived.values.map(({ properties, content }) => [properties.contentType, content])).toEqual(sent);
  });

  it('a retried message waits on the broker, carries its delivery count, and ends in the dead-letter queue', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    const counts: number[] = [];
    const work = ({ deliveryCount, body }: Message<string>): void => {
      if (body === 'bad') {
        counts.push(deliveryCount);
        throw new RangeError('no');
      }
    };
    const handled = collect(
      queue.consume<string>({ queue: name }).pipe(handle(work, { onError: queue.retry({ attempts: 3, delay: 50 }) })),
    );
    await queue.send({ queue: name, body: 'bad', messageId: 'm1', headers: { mine: 1 } });
    await eventually(() => handled.values.length === 3);
    expect(counts).toEqual([0, 1, 2]);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack', 'reject']);
    const [message] = await given.broker.takeMessages(dead, 1);
    expect(message).toMatchObject({ body: 'bad', messageId: 'm1', headers: { mine: 1 } });
    expect(message?.headers['x-death']).toMatchObject([
      { queue: name, reason: 'rejected' },
      { queue: `${name}.retry.50`, reason: 'expired' },
    ]);
    expect(queue.metrics).toMatchObject({ retried: 2, acked: 2, rejected: 1 });
    await given.broker.deleteQueue(`${name}.retry.50`);
  });

  it('a message with an expiration of 0 is for a consumer that takes it at once, and for nobody else', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    await queue.send({ queue: name, body: 'to nobody', expiration: 0 });
    expect(await given.broker.count(name)).toMatchObject({ ready: 0 });
    const arrived = collect(queue.consume({ queue: name, noAck: true }));
    await until(queue.health$, ({ consumers }) => consumers[0]?.status === 'attached');
    await queue.send({ queue: name, body: 'at once', expiration: 0 });
    await eventually(() => arrived.values.length === 1);
    expect(arrived.values).toMatchObject([{ body: 'at once', properties: { expiration: 0 } }]);
  });

  it('a message expires by its own expiration, or by the TTL of its queue', async () => {
    const dead = await given.broker.declareQueue();
    const name = await given.broker.declareQueue({ messageTtl: 60_000, deadLetter: { queue: dead } });
    const queue = given.broker.newClient();
    // The time that a message waits for its connection counts towards its expiration.
    await queue.send({ queue: name, body: 'first' });
    expect(await given.broker.takeMessages(name, 1)).toMatchObject([{ body: 'first' }]);
    await queue.send({ queue: name, body: 'short', expiration: 500 });
    await queue.send({ queue: name, body: 'long' });
    const [message] = await given.broker.takeMessages(dead, 1);
    expect(message).toMatchObject({
      body: 'short',
      expiration: undefined,
      headers: { 'x-death': [{ reason: 'expired', queue: name, 'original-expiration': '500' }] },
    });
    expect(await given.broker.takeMessages(name, 1)).toMatchObject([{ body: 'long' }]);
  });

  it('a request resolves with its reply, rejects with the error of its handler, or is returned if it is unroutable', async () => {
    const name = await given.broker.declareQueue();
    const [asking, answering] = [given.broker.newClient(), given.broker.newClient()];
    const work = ({ body }: Message<number>): number => {
      if (body < 0) throw new RangeError('negative');
      return body * 2;
    };
    answering.respond<number, number>({ queue: name }, work).subscribe();
    const replies = await Promise.all([1, 2, 3].map((body) => asking.request<number>({ queue: name, body })));
    expect(replies.map(({ body }) => body)).toEqual([2, 4, 6]);
    const failed = await publishError(asking.request({ queue: name, body: -1 }));
    expect(failed).toMatchObject({ code: 'REPLY_ERROR', cause: { message: 'negative' } });
    const unroutable = await publishError(asking.request({ queue: given.broker.freeQueueName(), body: 1 }));
    expect(unroutable).toMatchObject({ code: 'PUBLISH_RETURNED' });
    const slow = await given.broker.declareQueue();
    expect(await publishError(asking.request({ queue: slow, body: 1 }, { timeout: 500 }))).toMatchObject({
      code: 'REPLY_TIMEOUT',
    });
  });

  it('a request whose connection is lost before its reply rejects with PUBLISH_UNKNOWN', async () => {
    const name = await given.broker.declareQueue();
    const asking = given.broker.newClient();
    const asked = publishError(asking.request({ queue: name, body: 1 }));
    await eventually(() => asking.metrics.confirmed === 1);
    await given.broker.disconnect();
    expect(await asked).toMatchObject({ code: 'PUBLISH_UNKNOWN', maybeDelivered: true });
    await given.broker.reconnect();
  });

  it('settling a batch settles all of its deliveries', async () => {
    const name = await given.broker.declareQueue();
    const queue = given.broker.newClient();
    const batches: unknown[][] = [];
    queue
      .consume<number>({ queue: name })
      .pipe(
        batch({ size: 2, within: 1000 }),
        tap((one) => {
          batches.push([...one.bodies]);
          one.ack();
        }),
      )
      .subscribe();
    for (const body of [1, 2, 3, 4]) await queue.send({ queue: name, body });
    await eventually(() => queue.metrics.acked === 4);
    expect(batches).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('an exclusive queue is usable by its connection alone, and is deleted with it', async () => {
    const name = given.broker.freeQueueName();
    const [owner, other] = [given.broker.newClient(), given.broker.newClient({ reopen: { initialAttempts: 1 } })];
    owner.consume({ queue: { name, exclusive: true } }).subscribe();
    await until(owner.health$, ({ status }) => status === 'up');
    const refused = collect(other.consume({ queue: name, declare: false }));
    await eventually(() => refused.error);
    expect(refused.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 405 });
    await owner.close();
    // A queue of the same name that is not exclusive.
    const deliveries = collect(other.consume({ queue: { name } }));
    await other.send({ queue: name, body: 1 });
    await eventually(() => deliveries.values.length === 1);
    await other.close({ drainTimeout: 0 });
    await eventually(async () => {
      const { ready, consumers } = await given.broker.count(name);
      return ready === 1 && consumers === 0;
    });
  });

  it('a server-named queue gets a new name when the connection was lost', async () => {
    const queue = given.broker.newClient();
    const consumer = queue.consumer({ queue: '' });
    const names: string[] = [];
    consumer.state$.subscribe((state) => {
      if (state.status === 'attached') names.push(state.queue);
    });
    consumer.deliveries$.subscribe();
    await eventually(() => names.length === 1);
    await given.broker.disconnect();
    await until(consumer.state$, ({ status }) => status === 'detached');
    await given.broker.reconnect();
    await eventually(() => names.length === 2);
    expect(names[0]).toMatch(/^amq\.gen-/);
    expect(names[1]).not.toBe(names[0]);
  });
}
