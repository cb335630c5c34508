import { EMPTY, Subject, config, lastValueFrom, of, throwError, toArray, type Observable } from 'rxjs';
import {
  batch,
  handle,
  type ErrorPolicy,
  type HandleOptions,
  type Handled,
  type Settlement,
  type Work,
} from 'instance-queue';
import { collect } from '../../support/collect';
import { fakeDelivery, type FakeDelivery } from '../../support/fake-delivery';
import { TestChannel } from '../../support/test-channel';
import { rejection } from '../../support/waiting';

const failure = new Error('out of stock');
const fails = (): never => {
  throw failure;
};

async function handledOnce<R>(
  delivery: FakeDelivery,
  work: () => Work<R>,
  onError?: ErrorPolicy<string>,
): Promise<Handled<string, R>> {
  const all = await lastValueFrom(of(delivery).pipe(handle(work, onError === undefined ? {} : { onError }), toArray()));
  expect(all).toHaveLength(1);
  return all[0]!;
}

describe('work that succeeds', () => {
  it.each<[string, () => Work<unknown>, unknown]>([
    ['returns a value', () => 5, 5],
    ['returns nothing', () => undefined, undefined],
    ['resolves', () => Promise.resolve(5), 5],
    ['is thenable', () => ({ then: (resolve: (value: number) => void) => resolve(5) }), 5],
    ['is an Observable: its last value counts', () => of(1, 2, 5), 5],
    ['is an Observable without a value', () => EMPTY, undefined],
  ])('acks: it %s', async (_name, work, value) => {
    const delivery = fakeDelivery('a');
    const handled = await handledOnce(delivery, work);
    expect(delivery.log).toEqual(['ack a']);
    expect(handled).toEqual({
      message: delivery,
      settlement: 'ack',
      sent: true,
      ...(value !== undefined && { value }),
    });
    expect(handled.message).toBe(delivery);
    expect('value' in handled).toBe(value !== undefined);
    expect('error' in handled).toBe(false);
  });

  it('is reported as not sent when the delivery was lost meanwhile', async () => {
    const delivery = fakeDelivery('a');
    const handled = await handledOnce(delivery, () => {
      delivery.lose();
      return 5;
    });
    expect(handled).toMatchObject({ settlement: 'ack', sent: false, value: 5 });
    expect(delivery.log).toEqual([]);
  });
});

describe('work that fails', () => {
  const ways: [string, () => Work<unknown>][] = [
    ['throws', fails],
    ['rejects', () => Promise.reject(failure)],
    ['is an Observable that errors', () => throwError(() => failure)],
    [
      'is a thenable whose `then` throws',
      () => ({
        get then() {
          return fails();
        },
      }),
    ],
  ];
  it.each(ways)('is requeued once by default: it %s', async (_name, work) => {
    const first = fakeDelivery('a');
    expect(await handledOnce(first, work)).toEqual({
      message: first,
      settlement: 'requeue',
      sent: true,
      error: failure,
    });
    const again = fakeDelivery('a', [], 1);
    expect(await handledOnce(again, work)).toEqual({
      message: again,
      settlement: 'reject',
      sent: true,
      error: failure,
    });
    expect([first.log, again.log]).toEqual([['requeue a'], ['reject a']]);
  });

  it.each<[ErrorPolicy<string>, Settlement, Settlement]>([
    ['requeue-once', 'requeue', 'reject'],
    ['requeue', 'requeue', 'requeue'],
    ['reject', 'reject', 'reject'],
    [() => 'release', 'release', 'release'],
    [(_error, { redelivered }) => (redelivered ? 'ack' : 'requeue'), 'requeue', 'ack'],
    [() => Promise.resolve('reject' as const), 'reject', 'reject'],
  ])('is settled by the policy %p', async (policy, first, again) => {
    const fresh = fakeDelivery('a');
    const redelivered = fakeDelivery('a', [], 1);
    expect(await handledOnce(fresh, fails, policy)).toMatchObject({ settlement: first, error: failure });
    expect(await handledOnce(redelivered, fails, policy)).toMatchObject({ settlement: again, error: failure });
    expect([fresh.settled, redelivered.settled]).toEqual([first, again]);
  });

  it('gives a policy the error and the message', async () => {
    const delivery = fakeDelivery('a');
    const policy = jest.fn(() => 'reject' as const);
    await handledOnce(delivery, fails, policy);
    expect(policy.mock.calls).toEqual([[failure, delivery]]);
  });

  const broken = new Error('policy');
  it.each<[string, ErrorPolicy<string>]>([
    [
      'throws',
      () => {
        throw broken;
      },
    ],
    ['rejects', () => Promise.reject(broken)],
  ])('is requeued once when the policy fails itself: it %s', async (_name, policy) => {
    const delivery = fakeDelivery('a');
    const handled = await handledOnce(delivery, fails, policy);
    expect(handled).toMatchObject({ settlement: 'requeue', sent: true });
    expect(handled.error).toBeInstanceOf(AggregateError);
    const message = 'The work failed, and so did the error policy (`onError`).';
    expect(handled.error).toMatchObject({ errors: [failure, broken], message });
    expect((await handledOnce(fakeDelivery('a', [], 1), fails, policy)).settlement).toBe('reject');
  });

  it('is requeued once when the policy returns no settlement: the delivery is not left open', async () => {
    const delivery = fakeDelivery('a');
    const nonsense: unknown = 'retry';
    const handled = await handledOnce(delivery, fails, () => nonsense as Settlement);
    expect(handled).toMatchObject({ settlement: 'requeue', sent: true });
    expect(handled.error).toMatchObject({ errors: [failure, { code: 'OPTIONS_INVALID' }] });
    expect(delivery.settled).toBe('requeue');
  });

  it('ends the stream under `fail`, and is requeued', async () => {
    const delivery = fakeDelivery('a');
    const error = await rejection(lastValueFrom(of(delivery).pipe(handle(fails, { onError: 'fail' }))));
    expect(error).toBe(failure);
    expect(delivery.settled).toBe('requeue');
  });

  it('concerns its own message alone', async () => {
    const log: string[] = [];
    const source: Observable<FakeDelivery> = of(fakeDelivery('a', log), fakeDelivery('b', log), fakeDelivery('c', log));
    const work = ({ body }: { body: string }): string => (body === 'b' ? fails() : body);
    const all = await lastValueFrom(source.pipe(handle(work), toArray()));
    expect(log).toEqual(['ack a', 'requeue b', 'ack c']);
    expect(all.map(({ settlement }) => settlement)).toEqual(['ack', 'requeue', 'ack']);
  });
});

describe('the policy `requeue`', () => {
  it('leaves it to the consumer to warn of a delivery limit: that knows what the queue has', () => {
    const channel = new TestChannel();
    const counted = channel.deliver('a', { headers: { 'x-delivery-count': 1 } });
    of(counted)
      .pipe(handle(fails, { onError: 'requeue' }))
      .subscribe();
    expect(channel.settled).toEqual(['requeue a']);
    expect(channel.warnings).toEqual([]);
  });
});

describe('work that settles its delivery by itself, as the types do not allow', () => {
  it.each<[Settlement, ErrorPolicy<string>]>([
    ['ack', 'requeue-once'],
    ['reject', () => 'requeue'],
  ])('is reported as settled by the work (%s), and its policy is not asked', async (how, policy) => {
    const onError = typeof policy === 'function' ? jest.fn(policy) : policy;
    const done = fakeDelivery('a');
    expect(await handledOnce(done, () => done[how](), onError)).toMatchObject({ settlement: how, sent: true });
    const failed = fakeDelivery('b');
    const work = (): never => {
      failed[how]();
      return fails();
    };
    expect(await handledOnce(failed, work, onError)).toMatchObject({ settlement: how, sent: true, error: failure });
    expect([done.log, failed.log]).toEqual([[`${how} a`], [`${how} b`]]);
    if (typeof onError === 'function') expect(onError).not.toHaveBeenCalled();
  });

  it('still ends the stream under `fail`', async () => {
    const delivery = fakeDelivery('a');
    const work = (): never => {
      delivery.ack();
      return fails();
    };
    expect(await rejection(lastValueFrom(of(delivery).pipe(handle(work, { onError: 'fail' }))))).toBe(failure);
    expect(delivery.settled).toBe('ack');
  });
});

describe('a delivery that was settled before its turn', () => {
  it('is not worked on', async () => {
    const settled = fakeDelivery('a');
    settled.lose();
    const work = jest.fn();
    expect(await lastValueFrom(of(settled).pipe(handle(work), toArray()))).toEqual([]);
    expect(work).not.toHaveBeenCalled();
  });
});

describe('a delivery that was settled on its way', () => {
  it('is passed over while others wait', async () => {
    const [running, waiting, settled] = ['a', 'b', 'c'].map((body) => fakeDelivery(body));
    const gate = new Subject<void>();
    const unhandled: unknown[] = [];
    config.onUnhandledError = (error) => unhandled.push(error);
    try {
      settled!.ack();
      const handled = collect(of(running!, waiting!, settled!).pipe(handle(() => gate, { concurrency: 1 })));
      gate.complete();
      expect(handled.values.map(({ message }) => message.body)).toEqual(['a', 'b']);
      expect(handled.completed).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 0));
    } finally {
      config.onUnhandledError = null;
    }
    expect(unhandled).toEqual([]);
  });
});

describe('what cannot be settled', () => {
  const { body, content, queue } = fakeDelivery('a');
  const operators: Readonly<Record<string, (source$: Observable<FakeDelivery>) => Observable<unknown>>> = {
    handle: handle(() => expect(true).toBe(false)),
    batch: batch<string>({ size: 2, within: 10 }),
  };

  it.each([
    ['a message of a `noAck` consumer', { body, content, queue }],
    ['a body', 'order 1'],
    ['null', null],
    ['nothing', undefined],
  ])('ends the stream of handle() and of batch(): %s', async (_, value: unknown) => {
    for (const [name, operator] of Object.entries(operators)) {
      const error = await rejection(lastValueFrom(operator(of(value as FakeDelivery))));
      expect(error).toMatchObject({ code: 'OPTIONS_INVALID', option: 'noAck' });
      const instead = name === 'handle' ? 'mergeMap' : 'bufferTime';
      expect((error as Error).message).toMatch(new RegExp(`^${name}\\(\\) .*\`noAck\`.* use \`${instead}\`\\.$`));
    }
  });
});

describe('handle()', () => {
  it.each<[HandleOptions<unknown>, string]>([
    [{ concurrency: 0 }, 'Expected `concurrency` to be an integer of at least 1, or Infinity'],
    [{ concurrency: 1.5 }, 'Expected `concurrency`'],
    [{ timeout: 0 }, 'Expected `timeout` to be a number of milliseconds from 1'],
    [{ onError: 'ignore' as 'reject' }, "one of 'requeue-once', 'requeue', 'reject', 'fail', or a function"],
    [{ retries: 3 } as HandleOptions<unknown>, 'Unknown option `retries` for handle()'],
  ])('refuses wrong options at once: %j', (options, sentence) => {
    expect(() => handle(() => 1, options)).toThrow(sentence);
  });

  it('refuses work that is not a function', () => {
    const work: unknown = 'work';
    expect(() => handle(work as () => number)).toThrow('Expected `work` to be a function, got `work` (string).');
  });
});
