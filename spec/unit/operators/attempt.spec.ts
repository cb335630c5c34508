import { runInNewContext } from 'node:vm';
import { EMPTY, Observable, firstValueFrom, lastValueFrom, of, toArray } from 'rxjs';
import { handle, type ErrorPolicy, type Handled, type Settlement, type Work } from 'instance-queue';
import { fakeDelivery } from '../../support/fake-delivery';

/** As configurations and test doubles are that find misspelt names. */
const strict: unknown = new Proxy(
  {},
  {
    get: (_target, name) => {
      if (name === 'then') return undefined;
      throw new TypeError(`There is no ${String(name)}.`);
    },
  },
);
const handledBy = <R>(work: () => Work<R>, onError: ErrorPolicy<string> = 'reject'): Promise<Handled<string, R>> =>
  firstValueFrom(of(fakeDelivery('a')).pipe(handle(work, { onError })));

describe('work whose result would never run', () => {
  let ran: boolean;
  beforeEach(() => {
    ran = false;
  });
  const cold$ = new Observable<number>((subscriber) => {
    ran = true;
    subscriber.complete();
  });
  function* steps(): Generator<number> {
    ran = true;
    yield 1;
  }
  async function* asyncSteps(): AsyncGenerator<number> {
    ran = true;
    yield await Promise.resolve(1);
  }

  it.each<[string, () => Work<unknown>, RegExp]>([
    ['a promise of an Observable', () => Promise.resolve(cold$), /Observable/],
    ['an Observable of an Observable', () => of(cold$), /Observable/],
    ['a generator', () => steps(), /generator/],
    ['an asynchronous generator', () => asyncSteps(), /generator/],
    ['a promise of a generator', () => Promise.resolve(steps()), /generator/],
    ['a generator of another realm', () => runInNewContext('(function* () {})()') as Work<unknown>, /generator/],
  ])('fails instead of being acked undone: %s', async (_name, work, sentence) => {
    const handled = await handledBy(work);
    expect(handled).toMatchObject({ settlement: 'reject', sent: true });
    expect(handled.error).toBeInstanceOf(TypeError);
    expect((handled.error as TypeError).message).toMatch(sentence);
    expect('value' in handled).toBe(false);
    expect(ran).toBe(false);
  });

  it.each<[string, unknown]>([
    ['an array', [1, 2]],
    ['null', null],
    ['an iterator of an array', [1, 2].values()],
    ['a Map', new Map([[1, 2]])],
    ['a function', () => 1],
    ['an object that throws when it is asked for a member that it does not have', strict],
  ])('is told from data: %s is acked', async (_name, value) => {
    const atOnce = await handledBy(() => value);
    expect([atOnce.settlement, Object.is(atOnce.value, value)]).toEqual(['ack', true]);
    const handled = await handledBy(() => Promise.resolve(value));
    expect([handled.settlement, Object.is(handled.value, value)]).toEqual(['ack', true]);
  });
});

describe('work that is thenable', () => {
  const thenable = (then: (resolve: (value: number) => void, reject: (error: unknown) => void) => void): Work<number> =>
    ({ then }) as unknown as PromiseLike<number>;

  it('counts once, though it settles twice', async () => {
    const work = (): Work<number> =>
      thenable((resolve, reject) => {
        resolve(5);
        reject(new Error('late'));
        resolve(6);
      });
    const all = await lastValueFrom(of(fakeDelivery('a')).pipe(handle(work), toArray()));
    expect(all).toMatchObject([{ settlement: 'ack', value: 5 }]);
  });

  it.each<[string, () => Promise<number>, object]>([
    ['resolves', () => Promise.resolve(5), { settlement: 'ack', value: 5 }],
    ['rejects', () => Promise.reject(new Error('late')), { settlement: 'reject', error: new Error('late') }],
  ])('is not done before a promise that it resolves with: that one %s', async (_name, later, handled) => {
    const lazy = { then: (resolve: (value: Promise<number>) => void) => resolve(later()) };
    expect(await handledBy(() => lazy as unknown as PromiseLike<number>)).toMatchObject(handled);
  });

  it('counts as settled, though its `then` throws afterwards', async () => {
    const work = (): Work<number> =>
      thenable((resolve) => {
        resolve(5);
        throw new Error('late');
      });
    expect(await handledBy(work)).toMatchObject({ settlement: 'ack', value: 5 });
  });

  it('may be a function', async () => {
    const work = (): Work<number> => {
      const lazy = (): void => undefined;
      return Object.assign(lazy, { then: (resolve: (value: number) => void) => resolve(5) }) as unknown as Work<number>;
    };
    expect(await handledBy(work)).toMatchObject({ settlement: 'ack', value: 5 });
  });

  it('may come from another realm', async () => {
    const work = (): Work<number> => runInNewContext('Promise.resolve(5)') as Promise<number>;
    expect(await handledBy(work)).toMatchObject({ settlement: 'ack', value: 5 });
  });

  it('may come where the global Promise was replaced, and so may the decision of a policy', async () => {
    const builtIn = globalThis.Promise;
    class Replaced<T> extends builtIn<T> {}
    globalThis.Promise = Replaced;
    try {
      const decide = (): PromiseLike<Settlement> => builtIn.resolve('ack');
      const failing = (): never => {
        throw new Error('work');
      };
      expect(await handledBy(() => builtIn.resolve(5))).toMatchObject({ settlement: 'ack', value: 5 });
      expect(await handledBy(failing, decide)).toMatchObject({ settlement: 'ack', sent: true });
    } finally {
      globalThis.Promise = builtIn;
    }
  });
});

describe('work that is an Observable', () => {
  it('is unsubscribed from though it ends while it is subscribed to', async () => {
    const left: string[] = [];
    const ending = (end: 'complete' | 'error'): Observable<number> =>
      new Observable<number>((subscriber) => {
        if (end === 'complete') subscriber.complete();
        else subscriber.error(new Error('work'));
        return () => left.push(end);
      });
    await handledBy(() => ending('complete'));
    await handledBy(() => ending('error'));
    expect(left).toEqual(['complete', 'error']);
  });

  it('fails though it throws while it is subscribed to', async () => {
    const broken = { subscribe: () => fail(), lift: () => EMPTY } as unknown as Observable<number>;
    const fail = (): never => {
      throw new RangeError('subscribe');
    };
    expect(await handledBy(() => broken)).toMatchObject({ settlement: 'reject', error: { message: 'subscribe' } });
  });
});
