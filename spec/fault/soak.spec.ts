import { privateBroker } from '../support/brokers/test-brokers';
import { faults, type Fault } from '../lab/soak/faults';
import { length, seed } from '../lab/soak/settings';
import { soak } from '../lab/soak/soak';

const seconds = length(60);

describe('soak', () => {
  it('the same seed gives the same faults', () => {
    const first = (from: number): Fault[] => {
      const plan = faults(from);
      return Array.from({ length: 50 }, () => plan.next().value);
    };
    expect(first(seed)).toEqual(first(seed));
    expect(first(seed)).not.toEqual(first(seed + 1));
  });

  it(
    `under random faults every message is accounted for, and nothing grows (SOAK_SEED=${seed}, SOAK_SECONDS=${seconds})`,
    async () => {
      const say = (line: string): void => void process.stderr.write(`soak: ${line}\n`);
      say(`SOAK_SEED=${seed} SOAK_SECONDS=${seconds}`);
      const { complaints, sent, faults: suffered } = await soak({ broker: privateBroker(), seed, seconds, say });
      expect(complaints).toEqual([]);
      expect(sent).toBeGreaterThan(seconds * 100);
      expect(Object.keys(suffered)).not.toEqual([]);
    },
    (seconds * 4 + 600) * 1000,
  );
});
