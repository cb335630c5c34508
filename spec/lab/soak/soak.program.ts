/**
 * `npm run soak`: twenty minutes of random faults, or `SOAK_SECONDS`; `SOAK_SEED` repeats a run. Exit code 1 if a message is
 * not accounted for, or anything has grown.
 */
import { startBroker } from '../../../compose/broker';
import { length, seed } from './settings';
import { soak } from './soak';

const say = (line: string): void => console.log(line);

async function main(): Promise<boolean> {
  const seconds = length(20 * 60);
  const broker = await startBroker({ private: true, say });
  try {
    say(`SOAK_SEED=${seed} SOAK_SECONDS=${seconds}`);
    const { faults, sent, duplicates, heaps, complaints } = await soak({ broker, seed, seconds, say });
    for (const [kind, count] of Object.entries(faults).sort()) say(`${String(count).padStart(6)} × ${kind}`);
    say(`${sent} messages, ${duplicates} settled once more for having been in flight`);
    say(`held at rest: ${heaps.map((bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MB`).join(' → ')}`);
    for (const complaint of complaints) say(complaint);
    say(
      complaints.length === 0
        ? 'All accounted for: nothing lost, nothing hung, nothing grown.'
        : 'NOT GOOD: see above.',
    );
    return complaints.length === 0;
  } finally {
    await broker.stop();
  }
}

main().then(
  (good) => (process.exitCode = good ? 0 : 1),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
