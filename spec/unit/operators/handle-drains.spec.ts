import { BehaviorSubject, NEVER, Subject, take } from 'rxjs';
import { handle, type Delivery } from 'instance-queue';
import { TestChannel } from '../../support/test-channel';
import { collect } from '../../support/collect';

describe('a consumer that drains while handle works on its deliveries', () => {
  let channel: TestChannel;
  let source$: Subject<Delivery<string>>;
  beforeEach(() => {
    channel = new TestChannel();
    source$ = new Subject();
  });
  const deliver = (bodies: string): void => {
    for (const body of bodies) source$.next(channel.deliver(body));
  };

  it('has back at once what is not started; running work settles', () => {
    const results = new Map<string, Subject<void>>();
    const work = ({ body }: { readonly body: string }): Subject<void> => {
      const result = new Subject<void>();
      results.set(body, result);
      return result;
    };
    source$.pipe(handle(work, { concurrency: 1 })).subscribe();
    deliver('abc');
    channel.drain();
    expect(channel.settled).toEqual(['release b', 'release c']);
    results.get('a')?.complete();
    expect(channel.settled).toEqual(['release b', 'release c', 'ack a']);
  });

  it('has back what waits for its key, in the order in which it came', () => {
    source$.pipe(handle(() => NEVER, { key: ({ body }) => body.toLowerCase() })).subscribe();
    deliver('aAbBAcB');
    channel.drain();
    expect(channel.settled).toEqual(['release A', 'release B', 'release A', 'release B']);
  });

  it('keeps what another consumer delivered', () => {
    const other = new TestChannel();
    source$.pipe(handle(() => NEVER, { concurrency: 1 })).subscribe();
    deliver('ab');
    source$.next(other.deliver('x'));
    channel.drain();
    expect([channel.settled, other.settled]).toEqual([['release b'], []]);
  });

  it('has its work done for what `take` let through', () => {
    const first = new Subject<void>();
    source$
      .pipe(
        take(3),
        handle(({ body }) => (body === 'a' ? first : undefined), { concurrency: 1 }),
      )
      .subscribe();
    deliver('abc');
    channel.drain();
    first.complete();
    expect(channel.settled).toEqual(['ack a', 'ack b', 'ack c']);
  });

  it.each([
    ['for a place', {}],
    ['for its key', { key: () => 'same' }],
  ])('has back what arrives later and would have to wait %s', (_name, options) => {
    const concurrency = new BehaviorSubject(1);
    source$.pipe(handle(() => NEVER, { concurrency, ...options })).subscribe();
    deliver('a');
    channel.drain();
    deliver('bc');
    expect(channel.settled).toEqual(['release b', 'release c']);
  });

  it('has its work done for what arrives later and can start at once', () => {
    collect(source$.pipe(handle(() => 1)));
    deliver('a');
    channel.drain();
    deliver('b');
    expect(channel.settled).toEqual(['ack a', 'ack b']);
  });
});
