import { ChannelError, batch, handle, text } from 'instance-queue';
import { fakeDelivery } from 'instance-queue/testing';
import { NEVER, concat, firstValueFrom, lastValueFrom, of, timer, toArray } from 'rxjs';
import { marbles } from '../../support/marbles';
import { collect } from '../../support/collect';

describe('fakeDelivery', () => {
  it('says what it is told to, and the rest as a first delivery would', () => {
    expect(fakeDelivery({ id: 1 })).toMatchObject({
      body: { id: 1 },
      content: Buffer.from('{"id":1}'),
      queue: 'fake',
      exchange: '',
      routingKey: 'fake',
      redelivered: false,
      deliveryCount: 0,
      properties: { contentType: 'application/json' },
      settled: undefined,
      calls: [],
    });
    const fields = { queue: 'q', exchange: 'e', routingKey: 'k', deliveryCount: 2, messageId: 'm1', headers: { a: 1 } };
    expect(fakeDelivery('x', { ...fields, codec: text })).toMatchObject({
      body: 'x',
      content: Buffer.from('x'),
      queue: 'q',
      exchange: 'e',
      routingKey: 'k',
      redelivered: true,
      deliveryCount: 2,
      properties: {
        messageId: 'm1',
        contentType: 'text/plain; charset=utf-8',
        headers: { a: 1, 'x-delivery-count': 2 },
      },
    });
    expect(fakeDelivery(1, { offset: 7 })).toMatchObject({ offset: 7, redelivered: false });
    expect(fakeDelivery(new Map(), { content: Buffer.from('raw') }).content.toString()).toBe('raw');
    expect(() => fakeDelivery(undefined)).toThrow('has no JSON form');
  });

  it('keeps the first settlement, and writes down every call', async () => {
    const delivery = fakeDelivery(1);
    expect(delivery.requeue()).toBe(true);
    expect(delivery.ack()).toBe(false);
    expect(delivery.settled).toBe('requeue');
    expect(delivery.calls).toEqual(['requeue', 'ack']);
    expect(await delivery.settlement).toBe('requeue');
  });

  it('calls back once, in the turn in which it is settled or lost', () => {
    const log: string[] = [];
    const [acked, lost] = [1, 2].map((body) =>
      fakeDelivery(body, { onSettled: (how) => log.push(`${how} ${String(body)}`) }),
    );
    acked?.ack();
    lost?.lose();
    acked?.reject();
    lost?.ack();
    expect(log).toEqual(['ack 1', 'lost 2']);
    expect([acked?.calls, lost?.calls]).toEqual([['ack', 'reject'], ['ack']]);
  });

  it('cannot be settled by who hears that it is lost', () => {
    const settled: boolean[] = [];
    const delivery = fakeDelivery(1, { onSettled: () => settled.push(delivery.ack()) });
    delivery.lose();
    expect([settled, delivery.settled, delivery.calls]).toEqual([[false], 'lost', ['ack']]);
  });

  it('has empty headers where none are given, like a message from RabbitMQ', () => {
    expect(fakeDelivery(1).properties).toEqual({ contentType: 'application/json', headers: {} });
  });

  it('is settled by what `handle` makes of it', async () => {
    const [good, bad, again] = [fakeDelivery(1), fakeDelivery(2), fakeDelivery(2, { redelivered: true })];
    const work = ({ body }: { body: number }): number => {
      if (body === 2) throw new RangeError('two');
      return body;
    };
    const handled = await lastValueFrom(of(good, bad, again).pipe(handle(work), toArray()));
    expect([good.settled, bad.settled, again.settled]).toEqual(['ack', 'requeue', 'reject']);
    expect(handled.map(({ message, sent }) => [message, sent])).toEqual([
      [good, true],
      [bad, true],
      [again, true],
    ]);
  });

  it('lost, it aborts the work on it, with the cause, and cannot be settled any more', async () => {
    const delivery = fakeDelivery(1);
    const reasons: unknown[] = [];
    const handled = collect(
      concat(of(delivery), NEVER).pipe(
        handle((_, { signal }) => {
          signal.addEventListener('abort', () => reasons.push(signal.reason));
          return NEVER;
        }),
      ),
    );
    const cause = new ChannelError('The channel went.');
    delivery.lose(cause);
    expect(reasons).toEqual([cause]);
    expect(delivery.settled).toBe('lost');
    expect(delivery.ack()).toBe(false);
    expect(await delivery.settlement).toBe('lost');
    expect(handled.values).toMatchObject([{ sent: false, error: cause }]);
    const settled = fakeDelivery(1);
    settled.ack();
    settled.lose();
    expect([settled.settled, await settled.settlement]).toEqual(['ack', 'ack']);
  });

  it('drained, it is released unless work on it has begun', () => {
    const [running, waiting] = [fakeDelivery(1), fakeDelivery(2)];
    const work = handle<number, never>(() => NEVER, { concurrency: 1 });
    concat(of(running, waiting), NEVER).pipe(work).subscribe();
    for (const delivery of [running, waiting]) delivery.drain();
    expect([running.settled, waiting.settled]).toEqual([undefined, 'release']);
  });

  it('gathers in batches, which settle it', async () => {
    const deliveries = [fakeDelivery(1), fakeDelivery(2)];
    const collected = await firstValueFrom(of(...deliveries).pipe(batch({ size: 2, within: 100 })));
    expect(collected.bodies).toEqual([1, 2]);
    collected.reject();
    expect(deliveries.map(({ settled }) => settled)).toEqual(['reject', 'reject']);
  });

  it(
    'works in virtual time',
    marbles(({ cold, expectObservable, flush }) => {
      const [slow, quick] = [fakeDelivery('slow'), fakeDelivery('quick')];
      const handled$ = cold('s 4999ms q|', { s: slow, q: quick }).pipe(
        handle(({ body }) => (body === 'slow' ? NEVER : timer(10)), { timeout: 60_000 }),
      );
      expectObservable(handled$).toBe('5010ms q 54989ms (s|)', {
        q: { message: quick, settlement: 'ack', sent: true, value: 0 },
        s: {
          message: slow,
          settlement: 'requeue',
          sent: true,
          error: expect.objectContaining({ code: 'WORK_TIMEOUT' }) as unknown,
        },
      });
      flush();
      expect([slow.settled, quick.settled]).toEqual(['requeue', 'ack']);
    }),
  );
});
