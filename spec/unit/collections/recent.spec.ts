import { RecentMap, RecentSet } from '../../../lib/collections/recent';

describe('what was set last', () => {
  it('keeps as many entries as it may, and forgets the oldest first', () => {
    const recent = new RecentMap<string, number>(3);
    ['a', 'b', 'c', 'd', 'e'].forEach((key, i) => recent.set(key, i));
    expect([...recent]).toEqual([
      ['c', 2],
      ['d', 3],
      ['e', 4],
    ]);
  });

  it('takes an entry that is set again for the latest, and forgets no other one for it', () => {
    const recent = new RecentMap<string, number>(3);
    for (const key of ['a', 'b', 'c']) recent.set(key, 1);
    recent.set('a', 2);
    expect([...recent.keys()]).toEqual(['b', 'c', 'a']);
    recent.set('d', 1);
    expect([[...recent.keys()], recent.get('a')]).toEqual([['c', 'a', 'd'], 2]);
  });

  it('does the same for values without a key', () => {
    const recent = new RecentSet<string>(2);
    recent.add('a').add('b').add('a').add('c');
    expect([...recent]).toEqual(['a', 'c']);
    expect([recent.has('b'), recent.delete('a'), recent.size]).toEqual([false, true, 1]);
  });
});
