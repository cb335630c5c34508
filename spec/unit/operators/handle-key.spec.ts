import { BehaviorSubject, NEVER, Subject, of, throwError, type Observable } from 'rxjs';
import { handle, type Delivery, type Handled, type Message } from 'instance-queue';
import { KeyedQueue } from '../../../lib/operators/delivery-queue';
import { collect } from '../../support/collect';
import { deliveries, fakeDelivery, type FakeDelivery } from '../../support/fake-delivery';
import { marbles } from '../../support/marbles';
import { TestChannel } from '../../support/test-channel';
import { bodies, source } from './delivering';

/** a and A have the same key. */
const key = ({ body }: Message<string>): string => body.toLowerCase();
const all = (letters: string, log: string[] = []) =>
  Object.fromEntries(deliveries(letters, log).map((delivery) => [delivery.body, delivery]));
const told = ({ message, settlement }: Handled<string, unknown>): string => `${settlement} ${message.body}`;

describe('handle by key', () => {
  it(
    'works on messages of one key one after the other, and on other keys beside them',
    marbles(({ cold, flush }) => {
      const source$ = cold('(aAbB|)', all('aAbB'));
      const started: string[] = [];
      const work = ({ body }: Message<string>): Observable<string> => {
        started.push(body);
        return cold(body.toLowerCase() === 'a' ? '----(x|)' : '-(x|)');
      };
      const told$ = source$.pipe(handle(work, { key }));
      const seen: string[] = [];
      told$.subscribe((handled) => seen.push(told(handled)));
      flush();
      expect(started).toEqual(['a', 'b', 'B', 'A']);
      expect(seen).toEqual(['ack b', 'ack B', 'ack a', 'ack A']);
    }),
  );

  it(
    'starts the oldest message when there are more keys than `concurrency`',
    marbles(({ cold, flush }) => {
      const started: string[] = [];
      const work = ({ body }: Message<string>): Observable<string> => {
        started.push(body);
        return cold('-(x|)');
      };
      cold('(aAbc|)', all('aAbc'))
        .pipe(handle(work, { key, concurrency: 1 }))
        .subscribe();
      flush();
      expect(started).toEqual(['a', 'A', 'b', 'c']);
    }),
  );

  it(
    'starts the next of a key once the one before has failed and its policy has decided',
    marbles(({ cold, flush }) => {
      const log: string[] = [];
      const work = ({ body }: Message<string>): Observable<string> => {
        log.push(`start ${body}`);
        return body === 'a' ? cold('--#') : cold('-(x|)');
      };
      cold('(aA|)', all('aA', log))
        .pipe(handle(work, { key, onError: 'reject' }))
        .subscribe();
      flush();
      expect(log).toEqual(['start a', 'reject a', 'start A', 'ack A']);
    }),
  );

  it('holds a key until an asynchronous policy has decided', async () => {
    const log: string[] = [];
    const decision = new Subject<void>();
    const work = ({ body }: Message<string>): string => {
      log.push(`start ${body}`);
      if (body === 'a') throw new Error('broken');
      return body;
    };
    const onError = () =>
      new Promise<'reject'>((resolve) => {
        decision.subscribe(() => {
          resolve('reject');
        });
      });
    of(...deliveries('aA', log))
      .pipe(handle(work, { key, onError }))
      .subscribe();
    await Promise.resolve();
    expect(log).toEqual(['start a']);
    decision.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual(['start a', 'reject a', 'start A', 'ack A']);
  });

  it(
    'frees a key whose work takes longer than its timeout, and aborts that work',
    marbles(({ cold, flush }) => {
      const log: string[] = [];
      const signals: AbortSignal[] = [];
      const work = ({ body }: Message<string>, { signal }: { readonly signal: AbortSignal }): Observable<string> => {
        log.push(`start ${body}`);
        signals.push(signal);
        return body === 'a' ? NEVER : cold('-(x|)');
      };
      cold('(aA|)', all('aA', log))
        .pipe(handle(work, { key, timeout: 5 }))
        .subscribe();
      flush();
      expect(log).toEqual(['start a', 'requeue a', 'start A', 'ack A']);
      expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    }),
  );

  it(
    'starts messages without a key at once',
    marbles((helpers) => {
      const { source$ } = source(helpers, '(abc|)');
      const work = () => helpers.cold('---(x|)');
      helpers.expectObservable(source$.pipe(handle(work, { key: () => undefined }), bodies)).toBe('---(abc|)');
    }),
  );

  it('treats a message whose `key` throws as failed, and goes on', () => {
    const log: string[] = [];
    const broken = new Error('no key');
    const started: string[] = [];
    const handled: Handled<string, number>[] = [];
    const keyOf = ({ body }: Message<string>): string => {
      if (body === 'a') throw broken;
      return body;
    };
    of(...deliveries('ab', log))
      .pipe(handle(({ body }) => started.push(body), { key: keyOf, onError: 'reject' }))
      .subscribe((one) => handled.push(one));
    expect(started).toEqual(['b']);
    expect(log).toEqual(['reject a', 'ack b']);
    expect(handled[0]).toMatchObject({ settlement: 'reject', error: broken });
  });

  it('treats a message whose key is a promise as failed: no two promises are equal', () => {
    const started: string[] = [];
    const handled: Handled<string, number>[] = [];
    of(fakeDelivery('a'))
      .pipe(handle(({ body }) => started.push(body), { key: ({ body }) => Promise.resolve(body), onError: 'reject' }))
      .subscribe((one) => handled.push(one));
    expect(started).toEqual([]);
    expect(handled).toMatchObject([
      {
        settlement: 'reject',
        error: { name: 'TypeError', message: expect.stringMatching(/`key`.*promise/) as string },
      },
    ]);
  });

  it('skips a delivery that was settled while it waited, and starts the next', () => {
    const log: string[] = [];
    const started: string[] = [];
    const gate = new Subject<number>();
    const three = deliveries('aaa', log);
    of(...three)
      .pipe(
        handle(
          (message) => {
            started.push(String(three.indexOf(message as FakeDelivery)));
            return gate;
          },
          { key: () => 'same' },
        ),
      )
      .subscribe();
    three[1]?.ack();
    gate.complete();
    expect(started).toEqual(['0', '2']);
  });

  it('releases deliveries that wait for their key when it is unsubscribed from', () => {
    const log: string[] = [];
    of(...deliveries('aAbB', log))
      .pipe(handle(() => NEVER, { key }))
      .subscribe()
      .unsubscribe();
    expect(log).toEqual(['release A', 'release B']);
  });

  it('keeps an error to its own message, and starts the next of its key', () => {
    const seen: string[] = [];
    of(...deliveries('aA'))
      .pipe(handle(({ body }) => (body === 'a' ? throwError(() => new Error('a')) : of('fine')), { key }))
      .subscribe((handled) => seen.push(told(handled)));
    expect(seen).toEqual(['requeue a', 'ack A']);
  });
});

describe('handle without a key, of messages of a partitioned queue', () => {
  it('works on each partition in order, on others beside it, and on messages of none at once', () => {
    const channel = new TestChannel();
    const source$ = new Subject<Delivery<string>>();
    const gates = new Map<string, Subject<string>>();
    const started: string[] = [];
    const work = ({ body }: Message<string>): Observable<string> => {
      started.push(body);
      const gate = new Subject<string>();
      gates.set(body, gate);
      return gate;
    };
    const concurrency = new BehaviorSubject(0);
    const handled = collect(source$.pipe(handle(work, { concurrency })));
    const deliver = (...bodies: readonly string[]): void => {
      // Its digit is its partition.
      for (const body of bodies) source$.next(channel.deliver(body, {}, body[1] ? Number(body[1]) : undefined));
    };
    deliver('a', 'b', 'c0', 'd0', 'e1', 'f', 'g0', 'h1');
    expect(started).toEqual([]);
    concurrency.next(4);
    expect(started).toEqual(['a', 'b', 'c0', 'e1']);
    concurrency.next(9);
    expect(started.slice(4)).toEqual(['f']);
    gates.get('c0')?.complete();
    gates.get('e1')?.complete();
    expect(started.slice(5)).toEqual(['d0', 'h1']);
    channel.drain();
    expect(channel.settled).toEqual(['ack c0', 'ack e1', 'release g0']);
    gates.get('d0')?.complete();
    expect(started).toHaveLength(7);
    source$.complete();
    for (const gate of gates.values()) gate.complete();
    expect([handled.values.length, handled.completed]).toEqual([7, true]);
  });
});

describe('a keyed queue', () => {
  it('forgets a key once nothing of it waits or runs', () => {
    const line = new KeyedQueue<string>(({ body }) => body);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 1000; i++) line.push(fakeDelivery(`${round} ${i}`));
      for (let next = line.take(); next; next = line.take()) line.done(next);
    }
    line.push(fakeDelivery('left'));
    line.remove(() => true);
    expect(line.keys).toBe(0);
    expect(line.length).toBe(0);
  });
});
