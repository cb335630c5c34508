import { StateSubject } from '../../../lib/reactive/state-subject';

/** What a subscriber receives, with `|` for completion. */
function told<T>(state: StateSubject<T>, react: (value: T) => void = () => undefined): (T | '|' | '#')[] {
  const seen: (T | '|' | '#')[] = [];
  state.value$.subscribe({
    next: (value) => {
      seen.push(value);
      react(value);
    },
    complete: () => seen.push('|'),
    error: () => seen.push('#'),
  });
  return seen;
}

describe('a state over time', () => {
  it('emits its present value at once, then each new one', () => {
    const state = new StateSubject(1);
    const early = told(state);
    state.next(2);
    const late = told(state);
    state.next(3);
    expect(early).toEqual([1, 2, 3]);
    expect(late).toEqual([2, 3]);
    expect(state.value).toBe(3);
  });

  it('completes after its last value, which later subscribers still get', () => {
    const state = new StateSubject(1);
    const early = told(state);
    state.end(9);
    expect(early).toEqual([1, 9, '|']);
    expect(told(state)).toEqual([9, '|']);
    expect([state.value, state.ended]).toEqual([9, true]);
  });

  it('ignores writes after the end', () => {
    const state = new StateSubject(1);
    state.end(9);
    const late = told(state);
    state.next(10);
    state.end(11);
    expect(late).toEqual([9, '|']);
    expect(state.value).toBe(9);
  });

  it('keeps the order of writes for all when a subscriber writes during an emission', () => {
    const state = new StateSubject(0);
    const first = told(state, (value) => {
      if (value === 1) {
        state.next(2);
        state.next(3);
      }
    });
    const second = told(state);
    state.next(1);
    expect(first).toEqual([0, 1, 2, 3]);
    expect(second).toEqual([0, 1, 2, 3]);
  });

  it('ends after the current value when a subscriber ends it during an emission', () => {
    const state = new StateSubject(0);
    told(state, (value) => {
      if (value === 1) {
        state.end(9);
        state.next(5);
      }
    });
    const second = told(state);
    state.next(1);
    expect(second).toEqual([0, 1, 9, '|']);
  });

  it('emits the current value once to one who subscribes during its emission', () => {
    const state = new StateSubject(0);
    let late: unknown[] = [];
    state.value$.subscribe((value) => {
      if (value === 1) late = told(state);
    });
    state.next(1);
    state.next(2);
    expect(late).toEqual([1, 2]);
  });

  it('emits nothing to one who has unsubscribed', () => {
    const state = new StateSubject(0);
    const seen: number[] = [];
    const subscription = state.value$.subscribe((value) => seen.push(value));
    subscription.unsubscribe();
    state.next(1);
    expect(seen).toEqual([0]);
  });

  it('cannot be written to through its view', () => {
    expect(new StateSubject(0).value$).not.toHaveProperty('next');
  });
});
