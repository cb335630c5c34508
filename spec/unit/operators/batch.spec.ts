import { Subject, from, map, take, type Observable } from 'rxjs';
import { OptionsError, batch, type Batch, type Delivery } from 'instance-queue';
import { deliveries, fakeDelivery, type FakeDelivery } from '../../support/fake-delivery';
import { marbles } from '../../support/marbles';
import { TestChannel } from '../../support/test-channel';
import { source } from './delivering';

/** The bodies of each batch, joined. */
const words = map(({ bodies }: Batch<string>) => bodies.join(''));
const spelled = (...all: string[]) => Object.fromEntries(all.map((word, i) => [String(i), word]));

describe('batch', () => {
  it(
    'emits a batch when it has `size` deliveries',
    marbles((helpers) => {
      const { source$ } = source(helpers, 'a-b-c-d-');
      helpers
        .expectObservable(source$.pipe(batch({ size: 2, within: 100 }), words))
        .toBe('--0---1-', spelled('ab', 'cd'));
    }),
  );

  it(
    'emits what it has `within` ms after the first delivery, and starts over with the next',
    marbles((helpers) => {
      const { source$ } = source(helpers, 'ab---------c---');
      helpers
        .expectObservable(source$.pipe(batch({ size: 9, within: 5 }), words), '^-------------------!')
        .toBe('-----0----------1---', spelled('ab', 'c'));
    }),
  );

  it(
    'counts the time of each batch from its first delivery',
    marbles((helpers) => {
      const { source$ } = source(helpers, 'a--bc----------');
      helpers
        .expectObservable(source$.pipe(batch({ size: 2, within: 5 }), words), '^--------------!')
        .toBe('---0-----1-----', spelled('ab', 'c'));
    }),
  );

  it(
    'emits what it has when the source completes, and completes',
    marbles((helpers) => {
      const { source$ } = source(helpers, 'ab-|');
      helpers.expectObservable(source$.pipe(batch({ size: 9, within: 100 }), words)).toBe('---(0|)', spelled('ab'));
    }),
  );

  it(
    'emits no empty batch',
    marbles((helpers) => {
      const { source$ } = source(helpers, '(ab)--|');
      helpers.expectObservable(source$.pipe(batch({ size: 2, within: 1 }), words)).toBe('0-----|', spelled('ab'));
    }),
  );

  it(
    'errors with the source, and releases what it has',
    marbles((helpers) => {
      const { source$, log } = source(helpers, 'ab-#');
      helpers.expectObservable(source$.pipe(batch({ size: 9, within: 100 }), words)).toBe('---#');
      helpers.flush();
      expect(log).toEqual(['release a', 'release b']);
    }),
  );

  it(
    'releases what it has when it is unsubscribed from, unsubscribes from the source, and leaves no timer',
    marbles((helpers) => {
      const { source$, log } = source(helpers, 'abc---');
      helpers.expectObservable(source$.pipe(batch({ size: 2, within: 3 }), words), '^---!').toBe('-0', spelled('ab'));
      helpers.expectSubscriptions(source$.subscriptions).toBe('^---!');
      helpers.flush();
      expect(log).toEqual(['release c']);
    }),
  );

  it('leaves out deliveries that were settled or lost while they waited, and emits nothing if those are all', () => {
    const source$ = new Subject<FakeDelivery>();
    const seen: string[] = [];
    source$.pipe(batch({ size: 3, within: 1000 }), words).subscribe((word) => seen.push(word));
    const [a, b, c, d, e, f] = deliveries('abcdef');
    for (const delivery of [a, b]) source$.next(delivery!);
    a?.ack();
    source$.next(c!);
    for (const delivery of [d, e]) source$.next(delivery!);
    d?.lose();
    e?.lose();
    f?.lose();
    source$.next(f!);
    source$.complete();
    expect(seen).toEqual(['bc']);
  });

  it('stops a source that emits synchronously when its subscriber leaves', () => {
    const log: string[] = [];
    const words$: Observable<string> = from(deliveries('abcd', log)).pipe(
      batch({ size: 2, within: 10 }),
      words,
      take(1),
    );
    words$.subscribe();
    expect(log).toEqual([]);
  });

  it.each([
    [{ size: 0, within: 1 }, 'size'],
    [{ size: 1.5, within: 1 }, 'size'],
    [{ size: Infinity, within: 1 }, 'size'],
    [{ size: 1, within: -1 }, 'within'],
    [{ size: 1, within: Infinity }, 'within'],
  ])('refuses %p', (options, option) => {
    const refused = (): unknown => {
      try {
        return batch(options);
      } catch (error) {
        return error;
      }
    };
    expect(refused()).toBeInstanceOf(OptionsError);
    expect(refused()).toMatchObject({ option });
  });
});

describe('batch, when the channel of its deliveries', () => {
  let channel: TestChannel;
  let source$: Subject<Delivery<string>>;
  let seen: string[];
  beforeEach(() => {
    jest.useFakeTimers();
    channel = new TestChannel();
    source$ = new Subject();
    seen = [];
    source$.pipe(batch({ size: 3, within: 1000 }), words).subscribe((word) => seen.push(word));
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const deliver = (bodies: string, from = channel): void => {
    for (const body of bodies) source$.next(from.deliver(body));
  };

  it('drains, releases what it has at once and leaves no timer', () => {
    deliver('ab');
    channel.drain();
    expect(channel.settled).toEqual(['release a', 'release b']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('drains, releases what arrives later: no batch will fill any more', () => {
    deliver('a');
    channel.drain();
    deliver('bc');
    expect(channel.settled).toEqual(['release a', 'release b', 'release c']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('drains, keeps the deliveries of another consumer, and their time', () => {
    const other = new TestChannel();
    deliver('a');
    deliver('x', other);
    channel.drain();
    jest.advanceTimersByTime(1000);
    expect(seen).toEqual(['x']);
  });

  it('ends, drops the lost deliveries and leaves no timer', () => {
    deliver('ab');
    channel.end();
    expect(jest.getTimerCount()).toBe(0);
    const next = new TestChannel();
    deliver('ab', next);
    jest.advanceTimersByTime(999);
    expect(seen).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(seen).toEqual(['ab']);
  });

  it('ends just before the time is up, emits no lost delivery', () => {
    deliver('ab');
    setTimeout(() => {
      channel.end();
    }, 999);
    jest.advanceTimersByTime(2000);
    expect(seen).toEqual([]);
  });

  it('has ended before they arrive, does not count them towards `size`', () => {
    const late = [channel.deliver('a'), channel.deliver('b')];
    channel.end();
    for (const delivery of late) source$.next(delivery);
    expect(jest.getTimerCount()).toBe(0);
    deliver('xyz', new TestChannel());
    expect(seen).toEqual(['xyz']);
  });
});

describe('a batch', () => {
  const batchOf = (all: readonly FakeDelivery[]): Batch<string> => {
    let got: Batch<string> | undefined;
    from(all)
      .pipe(batch({ size: all.length, within: 0 }))
      .subscribe((one) => (got = one));
    if (!got) throw new Error('Expected a batch');
    return got;
  };

  it.each(['ack', 'requeue', 'release', 'reject'] as const)(
    'settles all deliveries by %s, and returns how many',
    (verb) => {
      const log: string[] = [];
      const ready = batchOf(deliveries('abc', log));
      expect(ready.bodies).toEqual(['a', 'b', 'c']);
      expect(ready[verb]()).toBe(3);
      expect(log).toEqual([`${verb} a`, `${verb} b`, `${verb} c`]);
      expect(ready[verb]()).toBe(0);
    },
  );

  it('skips deliveries that are settled or lost, and does not count them', () => {
    const log: string[] = [];
    const ready = batchOf(deliveries('abc', log));
    ready.deliveries[1]?.reject();
    (ready.deliveries[2] as FakeDelivery).lose();
    expect(ready.ack()).toBe(1);
    expect(log).toEqual(['reject b', 'ack a']);
  });

  it('has its deliveries and their bodies in the order in which they came', () => {
    const all = [fakeDelivery('x'), fakeDelivery('y')];
    const { deliveries: inside, bodies } = batchOf(all);
    expect(inside).toEqual(all);
    expect(bodies).toEqual(['x', 'y']);
  });
});
