import { corpusOf } from '../../fuzz/corpus';
import { fuzz } from '../../fuzz/fuzzer';
import { TARGETS } from '../../fuzz/targets';

describe.each(Object.entries(TARGETS))('what the fuzzer calls %s', (name, { run, seeds }) => {
  it('reads everything that once reached other code, or showed a fault', () => {
    for (const data of [...seeds, ...corpusOf(name)]) run(data);
  });
});

describe('the fuzzer', () => {
  const counts = (url: string): boolean => url.includes('corpus.spec');

  it('finds a fault that needs three octets in a row, which chance alone does not', () => {
    const faulty = (data: Buffer): void => {
      if (data[0] !== 0x41) return;
      if (data[1] !== 0x4d) return;
      if (data[2] !== 0x51) return;
      throw new Error('found');
    };
    const { finding, executions } = fuzz(faulty, {
      corpus: [Buffer.of(0, 0, 0)],
      executions: 300_000,
      seed: 1,
      counts,
    });
    expect(finding).toEqual({
      data: expect.objectContaining({ 0: 0x41, 1: 0x4d, 2: 0x51 }) as Buffer,
      error: new Error('found'),
    });
    expect(executions).toBeLessThan(300_000);
  });

  it('ends after so many executions', () => {
    const { executions, finding } = fuzz(() => undefined, { corpus: [], executions: 5000, seed: 1, counts });
    expect(executions).toBeGreaterThanOrEqual(5000);
    expect(finding).toBeUndefined();
  });
});
