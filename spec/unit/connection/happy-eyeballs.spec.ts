import type { Observable } from 'rxjs';
import { RIVAL_AFTER, happyEyeballs } from '../../../lib/connection/dial-round';
import { marbles } from '../../support/marbles';

/** The candidates are named by a letter; each dial of one is the next of its list. */
function dialing(dials: Readonly<Record<string, readonly Observable<string>[]>>) {
  const dialled: string[] = [];
  const dial = (candidate: string): Observable<string> => {
    const nth = dialled.filter((other) => other === candidate).length;
    dialled.push(candidate);
    const next = dials[candidate]?.[nth];
    if (next === undefined) throw new Error(`${candidate} was dialled ${String(nth + 1)} times`);
    return next;
  };
  return { dial, dialled };
}
const tellLast = (errors: readonly unknown[]): unknown => errors.at(-1);

describe('of several endpoints, the first to open', () => {
  it('has a second to open before it gets a rival', () => {
    expect(RIVAL_AFTER).toBe(1000);
  });

  it(
    'is the only one dialled when it opens in time',
    marbles(({ cold, expectObservable, expectSubscriptions, flush }) => {
      const a = cold('--L', { L: 'a' });
      const { dial, dialled } = dialing({ a: [a] });
      expectObservable(happyEyeballs(['a', 'b'], dial, tellLast), '^ 3s !').toBe('--L', { L: 'a' });
      expectSubscriptions(a.subscriptions).toBe('^ 3s !');
      flush();
      expect(dialled).toEqual(['a']);
    }),
  );

  it(
    'is looked for at the next endpoint, without delay, when one fails; each is tried once',
    marbles(({ cold, expectObservable, flush }) => {
      const { dial, dialled } = dialing({ a: [cold('--#')], b: [cold('-#')], c: [cold('-L', { L: 'c' })] });
      expectObservable(happyEyeballs(['a', 'b', 'c'], dial, tellLast), '^ 3s !').toBe('----L', { L: 'c' });
      flush();
      expect(dialled).toEqual(['a', 'b', 'c']);
    }),
  );

  it(
    'wins over one that hangs: the loser is unsubscribed',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const hanging = cold('-');
      const quick = cold('--L', { L: 'b' });
      const { dial } = dialing({ a: [hanging], b: [quick] });
      expectObservable(happyEyeballs(['a', 'b'], dial, tellLast), '^ 3s !').toBe('1s --L', { L: 'b' });
      expectSubscriptions(hanging.subscriptions).toBe('^ 1001ms !');
      expectSubscriptions(quick.subscriptions).toBe('1s ^ 2s !');
    }),
  );

  it(
    'may be the slow one: then its rival is unsubscribed, and no other is dialled',
    marbles(({ cold, expectObservable, expectSubscriptions, flush }) => {
      const slow = cold('1005ms L', { L: 'a' });
      const rival = cold('-');
      const { dial, dialled } = dialing({ a: [slow], b: [rival] });
      expectObservable(happyEyeballs(['a', 'b', 'c'], dial, tellLast), '^ 5s !').toBe('1005ms L', { L: 'a' });
      expectSubscriptions(rival.subscriptions).toBe('1s ^----!');
      flush();
      expect(dialled).toEqual(['a', 'b']);
    }),
  );

  it(
    'may be a second try of the only one: a dial begun in a black hole does not delay the way back',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const hanging = cold('-');
      const { dial } = dialing({ a: [hanging, cold('-L', { L: 'a2' })] });
      expectObservable(happyEyeballs(['a'], dial, tellLast), '^ 5s !').toBe('1s -L', { L: 'a2' });
      expectSubscriptions(hanging.subscriptions).toBe('^ 1s !');
    }),
  );

  it(
    'may be the newest rival: one begun in a black hole gives way to another, while the first dial keeps its time',
    marbles(({ cold, expectObservable, expectSubscriptions, flush }) => {
      const [first, second, third] = [cold('-'), cold('-'), cold('-')];
      const { dial, dialled } = dialing({ a: [first, second, third, cold('-L', { L: 'a4' })] });
      expectObservable(happyEyeballs(['a'], dial, tellLast), '^ 9s !').toBe('3s -L', { L: 'a4' });
      expectSubscriptions(first.subscriptions).toBe('^ 3s !');
      expectSubscriptions(second.subscriptions).toBe('1s ^ 999ms !');
      expectSubscriptions(third.subscriptions).toBe('2s ^ 999ms !');
      flush();
      expect(dialled).toEqual(['a', 'a', 'a', 'a']);
    }),
  );

  it(
    'may be at any endpoint: rivals go round, and each first dial keeps its time',
    marbles(({ cold, expectObservable, expectSubscriptions, flush }) => {
      const slow = cold('3500ms L', { L: 'b' });
      const again = cold('-');
      const { dial, dialled } = dialing({ a: [cold('-'), again, cold('-')], b: [slow, cold('-')] });
      expectObservable(happyEyeballs(['a', 'b'], dial, tellLast), '^ 9s !').toBe('4500ms L', { L: 'b' });
      expectSubscriptions(again.subscriptions).toBe('2s ^ 999ms !');
      flush();
      expect(dialled).toEqual(['a', 'b', 'a', 'b', 'a']);
    }),
  );

  it(
    'is none when the first dials failed, whatever a rival still hopes for',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const hoping = cold('-');
      const { dial } = dialing({ a: [cold('1500ms #', {}, 'A'), hoping] });
      expectObservable(happyEyeballs(['a'], dial, tellLast), '^ 9s !').toBe('1500ms #', {}, 'A');
      expectSubscriptions(hoping.subscriptions).toBe('1s ^ 499ms !');
    }),
  );

  it(
    'is none when each failed: the only one that fails at once is not dialled twice',
    marbles(({ cold, expectObservable, flush }) => {
      const { dial, dialled } = dialing({ a: [cold('--#', {}, 'A')] });
      expectObservable(happyEyeballs(['a'], dial, tellLast)).toBe('--#', {}, 'A');
      flush();
      expect(dialled).toEqual(['a']);
    }),
  );

  it(
    'is none when each failed: then the most telling of their errors is chosen, among all of them in order',
    marbles(({ cold, expectObservable, flush }) => {
      const { dial } = dialing({ a: [cold('--#', {}, 'A')], b: [cold('-#', {}, 'B')], c: [cold('-#', {}, 'C')] });
      const asked: unknown[] = [];
      const tell = (errors: readonly unknown[]): unknown => {
        asked.push([...errors]);
        return errors[1];
      };
      expectObservable(happyEyeballs(['a', 'b', 'c'], dial, tell)).toBe('----#', {}, 'B');
      flush();
      expect(asked).toEqual([['A', 'B', 'C']]);
    }),
  );

  it(
    'is waited for while any dial is under way, whatever the others did',
    marbles(({ cold, expectObservable }) => {
      const slow = cold('1500ms L', { L: 'a' });
      const { dial } = dialing({ a: [slow], b: [cold('#'), cold('#')] });
      expectObservable(happyEyeballs(['a', 'b'], dial, tellLast), '^ 5s !').toBe('1500ms L', { L: 'a' });
    }),
  );

  it(
    'passes its own end on, and nothing is dialled in its place',
    marbles(({ cold, expectObservable, flush }) => {
      const { dial, dialled } = dialing({ a: [cold('--L---#', { L: 'a' }, 'lost')] });
      expectObservable(happyEyeballs(['a', 'b'], dial, tellLast)).toBe('--L---#', { L: 'a' }, 'lost');
      flush();
      expect(dialled).toEqual(['a']);
    }),
  );

  it(
    'is let go with all its rivals on unsubscribe, and no timer dials another',
    marbles(({ cold, expectObservable, expectSubscriptions, flush }) => {
      const [a, b] = [cold('-'), cold('-')];
      const { dial, dialled } = dialing({ a: [a], b: [b] });
      expectObservable(happyEyeballs(['a', 'b', 'c'], dial, tellLast), '^ 1500ms !').toBe('');
      expectSubscriptions(a.subscriptions).toBe('^ 1500ms !');
      expectSubscriptions(b.subscriptions).toBe('1s ^ 500ms !');
      flush();
      expect(dialled).toEqual(['a', 'b']);
    }),
  );

  it(
    'of none is an error',
    marbles(({ expectObservable }) => {
      expectObservable(happyEyeballs<string, string>([], dialing({}).dial, () => 'nobody')).toBe('#', {}, 'nobody');
    }),
  );
});
