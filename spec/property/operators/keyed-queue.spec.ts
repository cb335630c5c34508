import fc from 'fast-check';
import { KeyedQueue } from '../../../lib/operators/delivery-queue';
import { fakeDelivery, type FakeDelivery } from '../../support/fake-delivery';

type Step =
  | { readonly do: 'push'; readonly key: number | undefined }
  | { readonly do: 'take' }
  | { readonly do: 'done' | 'lose' | 'remove'; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('push' as const), key: fc.option(fc.nat(3), { nil: undefined }) }),
  },
  { weight: 4, arbitrary: fc.constant({ do: 'take' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('done' as const), which: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), which: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat(99) }) },
);

interface Known {
  readonly delivery: FakeDelivery;
  readonly key: number | undefined;
}

/** The same behaviour as a plain list, searched from the front. */
class Model {
  waiting: Known[] = [];
  running: Known[] = [];

  take(): FakeDelivery | undefined {
    this.waiting = this.waiting.filter(({ delivery }) => delivery.settled === undefined);
    const next = this.waiting.find(
      ({ key }) => key === undefined || !this.running.some((running) => running.key === key),
    );
    if (!next) return undefined;
    this.waiting = this.waiting.filter((one) => one !== next);
    this.running.push(next);
    return next.delivery;
  }
}

describe('a keyed queue', () => {
  it('gives one delivery per key at a time, the oldest first, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const keys = new Map<unknown, number | undefined>();
        const line = new KeyedQueue<string>((message) => keys.get(message));
        const model = new Model();
        for (const next of steps) {
          if (next.do === 'push') {
            const delivery = fakeDelivery('x');
            keys.set(delivery, next.key);
            line.push(delivery);
            model.waiting.push({ delivery, key: next.key });
          } else if (next.do === 'take') expect(line.take()).toBe(model.take());
          else if (next.do === 'done') {
            const [ended] = model.running.splice(next.which % Math.max(1, model.running.length), 1);
            if (ended) line.done(ended.delivery);
          } else {
            const chosen = model.waiting[next.which % Math.max(1, model.waiting.length)]?.delivery;
            if (next.do === 'lose') chosen?.lose();
            else {
              expect(line.remove((delivery) => delivery === chosen)).toEqual(chosen ? [chosen] : []);
              model.waiting = model.waiting.filter(({ delivery }) => delivery !== chosen);
            }
          }
        }
        // In the end nothing is left, and no key is remembered.
        for (const { delivery } of model.running) line.done(delivery);
        model.running = [];
        for (let taken = line.take(); taken; taken = line.take()) {
          expect(taken).toBe(model.take());
          line.done(taken);
          model.running = [];
        }
        expect(model.take()).toBeUndefined();
        expect(line.length).toBe(0);
        expect(line.keys).toBe(0);
      }),
    );
  });
});
