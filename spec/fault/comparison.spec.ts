import { privateBroker } from '../support/brokers/test-brokers';
import { CLIENTS } from '../lab/comparison/clients';
import { experiment } from '../lab/comparison/experiment';
import { FAULTS, type FaultName } from '../lab/comparison/faults/all';
import { cell, summarise } from '../lab/comparison/summary';

/** The short faults. Gaps are measured by `npm run faults`, on an idle machine. */
const SHORT: readonly FaultName[] = ['cut', 'deleted', 'declared-again', 'missing-exchange'];

describe('our client in the comparison', () => {
  const broker = privateBroker();

  it.each(SHORT)(
    'loses nothing, fails nothing, leaves nothing hanging: %s',
    async (name) => {
      const fault = { ...FAULTS[name], limit: 10_000 };
      const result = await experiment(broker, CLIENTS.ours.program, fault);
      expect(summarise(fault, [result]).misses).toEqual([]);
      expect(result.confirmed).toBe(result.sent);
      expect(result.sent).toBeGreaterThan(500);
      expect(result.received).toBe(result.sent - result.sunk);
    },
    90_000,
  );
});

describe('a row of the comparison', () => {
  const clean = {
    ...{ sent: 9, confirmed: 9, failed: 0, open: 0, received: 9, duplicates: 0, renamed: 0, lost: 0, sunk: 0 },
    ...{ gaps: [40], notes: [], complaints: [], failures: [] },
  };

  it('shows the median gap, and each violation', () => {
    expect(cell(summarise(FAULTS.cut, [{ ...clean, gaps: [10, 300, 40] }]))).toBe('0 / 40 ms');
    const bad = { ...clean, failed: 2, failures: ['Error: no'], open: 1, lost: 3, sunk: 1, duplicates: 4, renamed: 1 };
    const summary = summarise(FAULTS.cut, [{ ...bad, gaps: [Infinity], complaints: ['memory not flat'] }]);
    expect(cell(summary)).toBe('2 / **never recovers**; **3 lost**; **1 hung**; 1 sunk; 4 twice; memory not flat');
    expect(summary.misses).toEqual([
      '3 lost',
      '2 publish errors: Error: no',
      '1 hung',
      '1 copies under another messageId',
      'a gap of Infinity ms, at most 100 ms were allowed',
      'memory not flat',
    ]);
  });

  it('counts publishes that a crash leaves open as part of the crash', () => {
    const summary = summarise(FAULTS.cut, [{ ...clean, open: 7, crash: '1, Error: oh' }]);
    expect(summary).toMatchObject({ hung: 0, misses: ['crashed: 1, Error: oh'] });
    expect(cell(summary)).toBe('0 / **crashes**');
  });
});
