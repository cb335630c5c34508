import {
  EMPTY,
  NEVER,
  Subject,
  Subscription,
  count,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  of,
  range,
  take,
  throwError,
  toArray,
} from 'rxjs';
import {
  publish,
  type Confirmation,
  type OutboundMessage,
  type PublishOptions,
  type SendOptions,
} from 'instance-queue';
import { rejection } from '../../support/waiting';

/** A producer that confirms when told to. */
class Fake {
  readonly sent: { readonly body: unknown; readonly options: SendOptions | undefined }[] = [];
  readonly #settle: ((error?: Error) => void)[] = [];

  send(message: OutboundMessage, options?: SendOptions): Promise<Confirmation> {
    const number = this.sent.push({ body: message.body, options });
    return new Promise((resolve, reject) => {
      this.#settle.push((error) => {
        if (error) reject(error);
        else resolve({ messageId: String(number), attempts: 1, epoch: 1 });
      });
    });
  }
  /** Counted from 1, as they were sent. */
  async confirm(number: number, error?: Error): Promise<void> {
    this.#settle[number - 1]?.(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const messages = (...bodies: number[]): OutboundMessage[] => bodies.map((body) => ({ queue: 'q', body }));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ids = map(({ messageId }: Confirmation) => messageId);

describe('publish()', () => {
  it('sends in order, and emits confirmations as they come', async () => {
    const fake = new Fake();
    const seen: string[] = [];
    const done = lastValueFrom(
      from(messages(1, 2, 3)).pipe(
        publish(fake),
        ids,
        map((id) => seen.push(id)),
      ),
    );
    expect(fake.sent.map(({ body }) => body)).toEqual([1, 2, 3]);
    await fake.confirm(2);
    await fake.confirm(1);
    expect(seen).toEqual(['2', '1']);
    await fake.confirm(3);
    await done;
    expect(seen).toEqual(['2', '1', '3']);
  });

  it('completes when the source has and all is confirmed, not earlier', async () => {
    const fake = new Fake();
    let completed = false;
    of(...messages(1))
      .pipe(publish(fake))
      .subscribe({ complete: () => (completed = true) });
    expect(completed).toBe(false);
    await fake.confirm(1);
    expect(completed).toBe(true);
  });

  it('goes on while its source does, also when nothing is under way for a while', async () => {
    const fake = new Fake();
    const source = new Subject<OutboundMessage>();
    const done = lastValueFrom(source.pipe(publish(fake), toArray()));
    for (const [i, message] of messages(1, 2).entries()) {
      source.next(message);
      await fake.confirm(i + 1);
    }
    source.complete();
    expect((await done).map(({ messageId }) => messageId)).toEqual(['1', '2']);
  });

  it('has no more under way than `concurrency`', async () => {
    const fake = new Fake();
    const done = firstValueFrom(from(messages(1, 2, 3)).pipe(publish(fake, { concurrency: 2 }), toArray()));
    expect(fake.sent).toHaveLength(2);
    await fake.confirm(1);
    expect(fake.sent).toHaveLength(3);
    await fake.confirm(2);
    await fake.confirm(3);
    expect(await done).toHaveLength(3);
  });

  it('hands each send its options, and no other', async () => {
    const fake = new Fake();
    const { signal } = new AbortController();
    from(messages(1))
      .pipe(publish(fake, { timeout: 5, signal, concurrency: 3 }))
      .subscribe();
    expect(fake.sent[0]?.options).toEqual({ timeout: 5, signal });
    await fake.confirm(1);
  });

  it('errors with the first send that fails', async () => {
    const fake = new Fake();
    const failed = rejection(lastValueFrom(from(messages(1, 2)).pipe(publish(fake))));
    const error = new Error('returned');
    await fake.confirm(2, error);
    expect(await failed).toBe(error);
  });

  it('errors and completes with the source', async () => {
    const error = new Error('source');
    expect(await rejection(lastValueFrom(throwError(() => error).pipe(publish(new Fake()))))).toBe(error);
    expect(await firstValueFrom(EMPTY.pipe(publish(new Fake()), toArray()))).toEqual([]);
  });

  it('takes nothing more from the source once unsubscribed', async () => {
    const fake = new Fake();
    const source = new Subject<OutboundMessage>();
    const subscription = source.pipe(publish(fake)).subscribe();
    source.next({ queue: 'q', body: 1 });
    subscription.unsubscribe();
    expect(source.observed).toBe(false);
    await fake.confirm(1);
    expect(fake.sent).toHaveLength(1);
  });

  it.each([null, undefined, 0, ''])('leaves it to `send` to refuse what is no message: %p', async (nothing) => {
    const refused = new Error('not a message');
    const sender = { send: (): Promise<Confirmation> => Promise.reject(refused) };
    // Types keep it out of TypeScript.
    const source$ = of(nothing as unknown as OutboundMessage);
    await expect(lastValueFrom(source$.pipe(publish(sender)))).rejects.toBe(refused);
  });

  it('goes through what comes at once in time that grows with it, and no faster', async () => {
    // By mergeMap half a million take minutes: its queue is shifted, and each shift moves the rest.
    const confirmed = Promise.resolve({ messageId: 'm', attempts: 1, epoch: 1 });
    let sent = 0;
    const producer = { send: () => (sent++, confirmed) };
    const source = range(0, 500_000).pipe(map((body) => ({ queue: 'q', body })));
    expect(await firstValueFrom(source.pipe(publish(producer, { concurrency: 10 }), count()))).toBe(500_000);
    expect(sent).toBe(500_000);
  });

  it.each([undefined, null, 5, {}, { send: 'orders' }])('refuses what is no producer at once: %j', (nobody) => {
    expect(() => publish(nobody as never)).toThrow('Expected `producer` to be a producer or an InstanceQueue');
  });

  it.each<[PublishOptions, string]>([
    [null as never, 'publish()'],
    ['orders' as never, 'publish()'],
    [{ concurrency: 0 }, 'Expected `concurrency` to be an integer from 1'],
    [{ timeout: 0 }, 'Expected `timeout` to be a number of milliseconds from 1'],
    [{ concurency: 5 } as PublishOptions, 'Did you mean `concurrency`?'],
  ])('refuses wrong options at once: %j', (options, sentence) => {
    expect(() => NEVER.pipe(publish(new Fake(), options))).toThrow(sentence);
  });
});

describe('publish() of an iterator', () => {
  /** What ends behind so many messages, and how often it was let go. */
  const counted = (size: number, fetching: (body: number) => void = () => undefined) => {
    let fetched = 0;
    const returned = jest.fn(() => ({ done: true, value: undefined }));
    const next = () => {
      const body = ++fetched;
      fetching(body);
      return { done: body > size, value: { queue: 'q', body } };
    };
    const source = { [Symbol.iterator]: () => ({ next, return: returned }) } as unknown as Iterable<OutboundMessage>;
    return { source, returned };
  };

  it('does not let go of one that has ended', async () => {
    const fake = new Fake();
    const { source, returned } = counted(1);
    const done = lastValueFrom(publish(fake, source));
    await fake.confirm(1);
    expect(await done).toMatchObject({ messageId: '1' });
    expect(returned).not.toHaveBeenCalled();
  });

  it('lets go of it once, when it has answered, if that is what unsubscribes', async () => {
    const fake = new Fake();
    const subscription = new Subscription();
    const atAnswer: number[] = [];
    const { source, returned } = counted(3, (body) => {
      if (body !== 2) return;
      subscription.unsubscribe();
      atAnswer.push(returned.mock.calls.length);
    });
    subscription.add(publish(fake, source, { concurrency: 1 }).subscribe());
    await fake.confirm(1);
    await turn();
    expect([atAnswer, returned.mock.calls.length, fake.sent.length]).toEqual([[0], 1, 1]);
  });
});

describe('publish() of what cannot be let go', () => {
  it.each(['at once', 'later'])('fetches nothing more from it once unsubscribed: what comes %s', async (when) => {
    const fake = new Fake();
    let fetched = 0;
    const next = (): unknown => {
      const result = { done: fetched === 9, value: { queue: 'q', body: ++fetched } };
      return when === 'at once' ? result : Promise.resolve(result);
    };
    const source =
      when === 'at once' ? { [Symbol.iterator]: () => ({ next }) } : { [Symbol.asyncIterator]: () => ({ next }) };
    const first$ = publish(fake, source as unknown as Iterable<OutboundMessage>, { concurrency: 2 }).pipe(take(1));
    const first = lastValueFrom(first$);
    await turn();
    await fake.confirm(1);
    expect(await first).toMatchObject({ messageId: '1' });
    await turn();
    expect([fetched, fake.sent.length]).toEqual([2, 2]);
  });
});

/** The same messages, fetched one by one, and whether whoever fetches them has let go. */
const KINDS = {
  iterable: (bodies: readonly number[], fetched: number[], ended: () => void) => ({
    *[Symbol.iterator]() {
      try {
        for (const body of bodies) {
          fetched.push(body);
          yield { queue: 'q', body };
        }
      } finally {
        ended();
      }
    },
  }),
  'async iterable': (bodies: readonly number[], fetched: number[], ended: () => void) => ({
    async *[Symbol.asyncIterator]() {
      try {
        for (const body of bodies) {
          await Promise.resolve();
          fetched.push(body);
          yield { queue: 'q', body };
        }
      } finally {
        ended();
      }
    },
  }),
};
describe.each(Object.entries(KINDS))('publish() of an %s', (_kind, make) => {
  it('fetches a message when there is room for one, and not before', async () => {
    const fake = new Fake();
    const fetched: number[] = [];
    const done = firstValueFrom(
      publish(
        fake,
        make([1, 2, 3, 4], fetched, () => undefined),
        { concurrency: 2 },
      ).pipe(toArray()),
    );
    await turn();
    expect(fetched).toEqual([1, 2]);
    await fake.confirm(2);
    expect(fetched).toEqual([1, 2, 3]);
    await fake.confirm(1);
    await fake.confirm(3);
    expect(fetched).toEqual([1, 2, 3, 4]);
    await fake.confirm(4);
    expect((await done).map(({ messageId }) => messageId)).toEqual(['2', '1', '3', '4']);
  });

  it('completes at once when there is nothing', async () => {
    const nothing = publish(
      new Fake(),
      make([], [], () => undefined),
    );
    expect(await firstValueFrom(nothing.pipe(toArray()))).toEqual([]);
  });

  it('lets go of it when it is unsubscribed from by what it fetches', async () => {
    const fake = new Fake();
    const fetched: number[] = [];
    let ended = 0;
    const subscription = new Subscription();
    const leaving = new Proxy(fetched, {
      set: (target, name, value) => {
        if (value === 2) subscription.unsubscribe();
        return Reflect.set(target, name, value);
      },
    });
    const sent$ = publish(
      fake,
      make([1, 2, 3], leaving, () => ended++),
      { concurrency: 1 },
    );
    subscription.add(sent$.subscribe());
    await turn();
    await fake.confirm(1);
    await turn();
    expect([fetched[1], fetched.length, fake.sent.length, ended]).toEqual([2, 2, 1, 1]);
  });

  it('lets go of it when unsubscribed, and fetches nothing more', async () => {
    const fake = new Fake();
    const fetched: number[] = [];
    let ended = 0;
    const first$ = publish(
      fake,
      make([1, 2, 3], fetched, () => ended++),
      { concurrency: 1 },
    ).pipe(take(1));
    const done = lastValueFrom(first$);
    await turn();
    await fake.confirm(1);
    await done;
    await turn();
    expect([fetched.length <= 2, ended]).toEqual([true, 1]);
  });

  it('errors with the first send that fails, and lets go', async () => {
    const fake = new Fake();
    let ended = 0;
    const failed = rejection(
      lastValueFrom(
        publish(
          fake,
          make([1, 2, 3], [], () => ended++),
          { concurrency: 2 },
        ),
      ),
    );
    await turn();
    const error = new Error('returned');
    await fake.confirm(1, error);
    expect(await failed).toBe(error);
    await turn();
    expect(ended).toBe(1);
  });

  it('is unsubscribed in silence, even if the source throws when it is let go', async () => {
    const failing = make([1, 2, 3], [], () => {
      throw new Error('already closed');
    });
    const subscription = publish(new Fake(), failing, { concurrency: 1 }).subscribe();
    await turn();
    expect(() => {
      subscription.unsubscribe();
    }).not.toThrow();
    await turn();
  });

  it('errors with what fetching throws', async () => {
    const error = new Error('no such row');
    const broken = make([1], [], () => {
      throw error;
    });
    const fake = new Fake();
    const failed = rejection(lastValueFrom(publish(fake, broken, { concurrency: 1 })));
    await turn();
    await fake.confirm(1);
    expect(await failed).toBe(error);
  });
});
