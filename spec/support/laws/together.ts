import { batch, bytes, handle, type Message } from 'instance-queue';
import { tap } from 'rxjs';
import { gather } from '../gather';
import { publishError } from '../publish-error';
import { eventually, until } from '../waiting';
import type { World } from '../world';

/** What holds where sending and consuming meet, on any broker. */
export function togetherLaws(world: () => World): void {
  it('health goes from down to up, degrades with a loss, and comes back with the next epoch', async () => {
    const name = await world().queue();
    const queue = world().open();
    const health: string[] = [];
    queue.health$.subscribe(({ status }) => {
      if (health.at(-1) !== status) health.push(status);
    });
    expect(queue.health.status).toBe('down');
    queue.consume({ queue: name }).subscribe();
    await queue.send({ queue: name, body: 1 });
    await until(queue.health$, ({ status }) => status === 'up');
    await world().disconnect();
    const lost = await until(queue.state$, ({ consumer }) => consumer.status === 'reconnecting');
    expect(lost.consumer).toMatchObject({ status: 'reconnecting', attempt: 1, cause: { code: 'CONNECTION_LOST' } });
    await until(queue.health$, ({ status }) => status === 'degraded');
    await world().reconnect();
    await until(
      queue.health$,
      ({ status, connections: { consumer } }) => status === 'up' && consumer.status === 'connected',
    );
    expect(queue.state).toMatchObject({ producer: { epoch: 2 }, consumer: { epoch: 2 } });
    expect(health).toEqual(['down', 'degraded', 'up', 'degraded', 'up']);
    expect(queue.metrics.reconnects).toBe(2);
  });

  it('bytes arrive as bytes, whatever holds them, in messages and in replies', async () => {
    const name = await world().queue();
    const queue = world().open();
    const octets = Uint8Array.of(0, 104, 255);
    const arrived = gather(queue.consume({ queue: name, noAck: true }));
    for (const body of [octets, octets.buffer, new DataView(octets.buffer), Buffer.from(octets)]) {
      await queue.send({ queue: name, body });
    }
    await queue.producer({ codec: bytes }).send({ queue: name, body: octets });
    await eventually(() => arrived.values.length === 5);
    for (const { body } of arrived.values) expect(body).toEqual(Buffer.from(octets));

    const asked = await world().queue();
    queue.respond({ queue: asked }, ({ body }) => new Uint8Array(body as Buffer).reverse()).subscribe();
    expect((await queue.request({ queue: asked, body: octets })).body).toEqual(Buffer.from([255, 104, 0]));
  });

  it('what JSON would empty is refused, in messages and in replies', async () => {
    const name = await world().queue();
    const queue = world().open();
    const error = await publishError(queue.send({ queue: name, body: { prices: new Map([['a', 1]]) } }));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false });
    expect(error.message).toContain('`body.prices` is a Map');
    queue.respond({ queue: name }, () => ({ found: new Set([1]) })).subscribe();
    const reply = await publishError(queue.request({ queue: name, body: 1 }));
    expect(reply).toMatchObject({ code: 'REPLY_ERROR' });
    expect(reply.message).toContain('`body.found` is a Set');
  });

  it('what was received goes out again as it came, whatever its type', async () => {
    const [from, to] = [await world().queue(), await world().queue()];
    const queue = world().open();
    const sent: readonly (readonly [contentType: string, content: Buffer])[] = [
      ['text/plain', Buffer.from('hello')],
      ['text/plain; charset=ISO-8859-1', Buffer.of(0xe9, 0x21)],
      ['text/plain; charset=shift_jis', Buffer.of(0x83, 0x65)],
      ['application/json; charset=utf-8', Buffer.from('{"a":[1,"é"]}')],
      ['application/json', Buffer.from('"hello"')],
      ['application/xml', Buffer.from('<a/>')],
      ['image/png', Buffer.of(0x89, 0xff, 0)],
    ];
    for (const [contentType, content] of sent) await world().put(from, content, contentType);
    queue.consume({ queue: from }).subscribe((delivery) => {
      const { properties, body } = delivery;
      void queue.send({ queue: to, ...properties, body }).then(() => delivery.ack());
    });
    const arrived = gather(queue.consume({ queue: to, noAck: true }));
    await eventually(() => arrived.values.length === sent.length);
    expect(arrived.values.map(({ properties, content }) => [properties.contentType, content])).toEqual(sent);
  });

  it('a retry waits at the broker, counts its runs, and ends in the dead-letter queue', async () => {
    const dead = await world().queue();
    const name = await world().queue({ deadLetter: { queue: dead } });
    const queue = world().open();
    const counts: number[] = [];
    const work = ({ deliveryCount, body }: Message<string>): void => {
      if (body === 'bad') {
        counts.push(deliveryCount);
        throw new RangeError('no');
      }
    };
    const handled = gather(
      queue.consume<string>({ queue: name }).pipe(handle(work, { onError: queue.retry({ attempts: 3, delay: 50 }) })),
    );
    await queue.send({ queue: name, body: 'bad', messageId: 'm1', headers: { mine: 1 } });
    await eventually(() => handled.values.length === 3);
    expect(counts).toEqual([0, 1, 2]);
    expect(handled.values.map(({ settlement }) => settlement)).toEqual(['ack', 'ack', 'reject']);
    const [letter] = await world().letters(dead, 1);
    expect(letter).toMatchObject({ body: 'bad', messageId: 'm1', headers: { mine: 1 } });
    expect(letter?.headers['x-death']).toMatchObject([
      { queue: name, reason: 'rejected' },
      { queue: `${name}.retry.50`, reason: 'expired' },
    ]);
    expect(queue.metrics).toMatchObject({ retried: 2, acked: 2, rejected: 1 });
    await world().deleteQueue(`${name}.retry.50`);
  });

  it('a message lives as long as it says, or as its queue says', async () => {
    const dead = await world().queue();
    const name = await world().queue({ messageTtl: 60_000, deadLetter: { queue: dead } });
    const queue = world().open();
    // The time that a message waits for its connection counts as well.
    await queue.send({ queue: name, body: 'first' });
    expect(await world().letters(name, 1)).toMatchObject([{ body: 'first' }]);
    await queue.send({ queue: name, body: 'short', expiration: 500 });
    await queue.send({ queue: name, body: 'long' });
    const [letter] = await world().letters(dead, 1);
    expect(letter).toMatchObject({
      body: 'short',
      expiration: undefined,
      headers: { 'x-death': [{ reason: 'expired', queue: name, 'original-expiration': '500' }] },
    });
    expect(await world().letters(name, 1)).toMatchObject([{ body: 'long' }]);
  });

  it('a request gets the reply to it, or the error of its work; one that nobody can take comes back', async () => {
    const name = await world().queue();
    const [asking, answering] = [world().open(), world().open()];
    const work = ({ body }: Message<number>): number => {
      if (body < 0) throw new RangeError('negative');
      return body * 2;
    };
    answering.respond<number, number>({ queue: name }, work).subscribe();
    const replies = await Promise.all([1, 2, 3].map((body) => asking.request<number>({ queue: name, body })));
    expect(replies.map(({ body }) => body)).toEqual([2, 4, 6]);
    const failed = await publishError(asking.request({ queue: name, body: -1 }));
    expect(failed).toMatchObject({ code: 'REPLY_ERROR', cause: { message: 'negative' } });
    const nobody = await publishError(asking.request({ queue: world().freeName(), body: 1 }));
    expect(nobody).toMatchObject({ code: 'PUBLISH_RETURNED' });
    const slow = await world().queue();
    expect(await publishError(asking.request({ queue: slow, body: 1 }, { timeout: 500 }))).toMatchObject({
      code: 'REPLY_TIMEOUT',
    });
  });

  it('a request whose link is lost before its reply is told so', async () => {
    const name = await world().queue();
    const asking = world().open();
    const asked = publishError(asking.request({ queue: name, body: 1 }));
    await eventually(() => asking.metrics.confirmed === 1);
    await world().disconnect();
    expect(await asked).toMatchObject({ code: 'PUBLISH_UNKNOWN', maybeDelivered: true });
    await world().reconnect();
  });

  it('batches are settled whole', async () => {
    const name = await world().queue();
    const queue = world().open();
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

  it('an exclusive queue is for its connection alone, and goes with it', async () => {
    const name = world().freeName();
    const [owner, other] = [world().open(), world().open({ reopen: { initialAttempts: 1 } })];
    owner.consume({ queue: { name, exclusive: true } }).subscribe();
    await until(owner.health$, ({ status }) => status === 'up');
    const refused = gather(other.consume({ queue: name, declare: false }));
    await eventually(() => refused.error);
    expect(refused.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 405 });
    await owner.close();
    // One of the same name, for everybody.
    const deliveries = gather(other.consume({ queue: { name } }));
    await other.send({ queue: name, body: 1 });
    await eventually(() => deliveries.values.length === 1);
    await other.close({ drainTimeout: 0 });
    await eventually(async () => {
      const { ready, consumers } = await world().count(name);
      return ready === 1 && consumers === 0;
    });
  });

  it('a queue that the broker names gets a new name after a loss', async () => {
    const queue = world().open();
    const consumer = queue.consumer({ queue: '' });
    const names: string[] = [];
    consumer.state$.subscribe((state) => {
      if (state.status === 'attached') names.push(state.queue);
    });
    consumer.deliveries$.subscribe();
    await eventually(() => names.length === 1);
    await world().disconnect();
    await until(consumer.state$, ({ status }) => status === 'detached');
    await world().reconnect();
    await eventually(() => names.length === 2);
    expect(names[0]).toMatch(/^amq\.gen-/);
    expect(names[1]).not.toBe(names[0]);
  });
}
