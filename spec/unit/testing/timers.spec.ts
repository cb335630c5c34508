import fc from 'fast-check';
import { SimulatedTimer, Timers } from '../../../lib/testing/simulation/simulated-timers';

const owner = { restart: () => undefined, numberOf: () => 7 };
const timer = (due: number, order: number): SimulatedTimer =>
  new SimulatedTimer(owner, () => undefined, due, false, due, order);
function taken(timers: Timers): SimulatedTimer[] {
  const all: SimulatedTimer[] = [];
  for (let one = timers.take(); one !== undefined; one = timers.take()) all.push(one);
  return all;
}
const byTime = (a: SimulatedTimer, b: SimulatedTimer): number => a.due - b.due || a.order - b.order;

it('timers run by their time, those of one time in the order in which they were set, unless they were cleared', () => {
  const one = fc.record({
    due: fc.integer({ min: 0, max: 5 }),
    closed: fc.boolean(),
    again: fc.option(fc.integer({ min: 6, max: 9 })),
  });
  fc.assert(
    fc.property(fc.array(one), (all) => {
      const timers = new Timers();
      const made = all.map(({ due, closed, again }, order) => {
        const made = timer(due, order);
        timers.add(made);
        if (closed) made.close();
        if (again !== null) made.again = again;
        return made;
      });
      const expected = made.filter(({ waiting }) => waiting);
      expect(new Set(timers.waiting)).toEqual(new Set(expected));
      const run = taken(timers);
      // By now each that was refreshed has its new time.
      expect(run).toEqual([...expected].sort(byTime));
      for (const { due, again } of run)
        expect([all.some((given) => given.due === due || given.again === due), again]).toEqual([true, undefined]);
      expect(timers.waiting).toEqual([]);
    }),
  );
});

it('a timer is what one of Node is', () => {
  const one = timer(1, 1);
  expect([one.hasRef(), one.unref().hasRef(), one.ref().hasRef()]).toEqual([true, false, true]);
  expect(Number(one)).toBe(7);
  const restart = jest.spyOn(owner, 'restart');
  expect(one.refresh()).toBe(one);
  expect(restart).toHaveBeenCalledTimes(1);
  one[Symbol.dispose]();
  one.refresh();
  expect([restart.mock.calls.length, one.waiting]).toEqual([1, false]);
  restart.mockRestore();
});
