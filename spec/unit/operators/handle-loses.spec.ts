import { NEVER, Subject, fromEvent, takeUntil, type Observable } from 'rxjs';
import {
  ConnectionError,
  handle,
  type Delivery,
  type ErrorPolicy,
  type Handled,
  type Settlement,
} from 'instance-queue';
import { collect } from '../../support/collect';
import { TestChannel } from '../../support/test-channel';

interface Context {
  readonly signal: AbortSignal;
}
const outcome = ({ message, settlement, sent }: Handled<string, unknown>): string =>
  `${message.body}: ${settlement}, ${sent ? 'sent' : 'not sent'}`;

describe('a channel that ends while handle works on its deliveries', () => {
  let channel: TestChannel;
  let source$: Subject<Delivery<string>>;
  let signals: AbortSignal[];
  beforeEach(() => {
    channel = new TestChannel();
    source$ = new Subject();
    signals = [];
  });

  it('aborts work that has failed and whose policy has not decided yet', () => {
    const work = (_: unknown, { signal }: Context): never => {
      signals.push(signal);
      throw new Error('work');
    };
    source$.pipe(handle(work, { onError: () => new Promise(() => undefined) })).subscribe();
    source$.next(channel.deliver('a'));
    channel.end();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('does not abort work that ends while other work is given up', () => {
    const results = [new Subject<string>(), new Subject<string>()] as const;
    const work = ({ body }: { readonly body: string }, { signal }: Context): Observable<string> => {
      signals.push(signal);
      return results[body === 'a' ? 0 : 1];
    };
    const emitted: string[] = [];
    source$.pipe(handle(work)).subscribe(({ message }) => {
      emitted.push(message.body);
      if (message.body === 'a') results[1].complete();
    });
    source$.next(channel.deliver('a'));
    source$.next(channel.deliver('b'));
    channel.end();
    expect(emitted).toEqual(['a', 'b']);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  it('has made nothing of work that completes as soon as its signal is aborted', () => {
    const work = (_: unknown, { signal }: Context): Observable<string> =>
      NEVER.pipe(takeUntil(fromEvent(signal, 'abort')));
    const { values } = collect(source$.pipe(handle(work)));
    source$.next(channel.deliver('a'));
    channel.end();
    expect(values).toMatchObject([{ settlement: 'requeue', sent: false, error: { code: 'CONSUMER_CANCELLED' } }]);
  });

  it('gives its cause to the signals of the work', () => {
    const cause = new ConnectionError('CONNECTION_LOST', 'localhost:5672/', 'The connection was lost.');
    const { values } = collect(source$.pipe(handle(() => NEVER)));
    source$.next(channel.deliver('a'));
    channel.end(cause);
    expect(values).toMatchObject([{ settlement: 'requeue', sent: false, error: cause }]);
  });

  it.each<[string, ErrorPolicy<string>]>([
    ['fail', 'fail'],
    ['requeue-once', 'requeue-once'],
    ['a function', () => 'reject'],
  ])('does not ask the policy (%s) about work that fails because its delivery was lost', async (_name, policy) => {
    const onError = typeof policy === 'function' ? jest.fn(policy) : policy;
    const work = (_: unknown, { signal }: Context): Promise<never> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    const handled = collect(source$.pipe(handle(work, { onError })));
    source$.next(channel.deliver('a'));
    channel.end();
    await new Promise((resolve) => setImmediate(resolve));
    expect(handled.values.map(outcome)).toEqual(['a: requeue, not sent']);
    expect(handled.error).toBeUndefined();
    expect(source$.observed).toBe(true);
    if (typeof onError === 'function') expect(onError).not.toHaveBeenCalled();
  });

  it('lets the stream complete though a policy never decides', () => {
    const handled = collect(
      source$.pipe(
        handle(
          () => {
            throw new Error('work');
          },
          { onError: () => new Promise<Settlement>(() => undefined) },
        ),
      ),
    );
    source$.next(channel.deliver('a'));
    channel.end();
    source$.complete();
    expect(handled.values.map(outcome)).toEqual(['a: requeue, not sent']);
    expect(handled.completed).toBe(true);
  });

  it('emits one outcome for a delivery whose policy decides after the end of the stream', async () => {
    let decide: (settlement: Settlement) => void = () => undefined;
    const onError = (): Promise<Settlement> =>
      new Promise((resolve) => {
        decide = resolve;
      });
    const failing = (): never => {
      throw new Error('work');
    };
    const handled = collect(source$.pipe(handle(failing, { onError })));
    source$.next(channel.deliver('a'));
    source$.complete();
    channel.end();
    decide('reject');
    await new Promise((resolve) => setImmediate(resolve));
    expect(handled.values.map(outcome)).toEqual(['a: requeue, not sent']);
    expect(channel.settled).toEqual([]);
  });

  it('lets the stream complete when the last deliveries arrive lost, and nothing may start', () => {
    const handled = collect(source$.pipe(handle(() => 1, { concurrency: new Subject<number>() })));
    const late = channel.deliver('a');
    channel.end();
    source$.next(late);
    source$.complete();
    expect(handled.completed).toBe(true);
  });

  it('is not watched any more once the last work has ended without a subscriber, whatever the policy', async () => {
    for (const onError of ['requeue', 'fail'] as const) {
      const other = new TestChannel();
      let fail: (error: Error) => void = () => undefined;
      const work = (): Promise<never> =>
        new Promise((_resolve, reject) => {
          fail = reject;
        });
      const { subscription } = collect(source$.pipe(handle(work, { onError })));
      source$.next(other.deliver('a'));
      subscription.unsubscribe();
      expect(other.watchers).toBe(1);
      fail(new Error('work'));
      await new Promise((resolve) => setImmediate(resolve));
      expect(other.watchers).toBe(0);
      expect(other.settled).toEqual(['requeue a']);
    }
  });

  it.each(['before', 'after'])('leaves no timer of work that hangs, unsubscribed %s it', (when) => {
    jest.useFakeTimers();
    try {
      const hanging = (): Promise<never> => new Promise(() => undefined);
      const handling = source$.pipe(handle(hanging, { timeout: 1000 })).subscribe();
      source$.next(channel.deliver('a'));
      expect(jest.getTimerCount()).toBe(1);
      if (when === 'before') handling.unsubscribe();
      channel.end();
      if (when === 'after') handling.unsubscribe();
      expect(jest.getTimerCount()).toBe(0);
      expect(channel.watchers).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
