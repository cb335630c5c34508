import type { Counts } from './ledger';
import type { Scene, Strike, Trial } from './trials';

/** ms. */
const PEACE = 1000;

/** The combined result of the strikes of one trial. */
export interface Row {
  readonly title: string;
  /** The times from each fault to the next new message, ms. */
  readonly gaps: readonly number[];
  /** The longest time between two arrivals of new messages, from a fault until all nodes are back, ms. */
  readonly silence: number;
  readonly counts: Counts;
}

/** A strike, and the numbers of the messages sent during it. */
interface Struck {
  readonly trial: Trial;
  readonly gap: number;
  readonly silence: number;
  readonly from: number;
  readonly to: number;
}

/** Performs the strikes one after the other, waits for the messages in flight, and accounts for all messages. */
export async function campaign(
  scene: Scene,
  strikes: readonly Strike[],
  say: (line: string) => void = () => undefined,
): Promise<Row[]> {
  const { traffic, receivers } = scene;
  const { ledger } = traffic;
  await traffic.start();
  const struck: Struck[] = [];
  for (const { trial, time } of strikes) {
    const from = ledger.next;
    // A pause first: messages in flight at the fault belong to it, though they were sent before.
    await ledger.gap(performance.now() + PEACE);
    const began = performance.now();
    const gap = await trial.strike(scene, time);
    const silence = ledger.silence(began, performance.now());
    struck.push({ trial, gap, silence, from, to: ledger.next });
    say(`${trial.title}: gap ${gap.toFixed(0)} ms, longest silence ${silence.toFixed(0)} ms`);
  }
  await traffic.stop();
  await Promise.all([traffic.sender.close(), ...receivers.map((receiver) => receiver.end())]);
  for (const failure of ledger.failures) say(failure);
  return [...new Set(strikes.map(({ trial }) => trial))].map(({ title }) => {
    const mine = struck.filter(({ trial }) => trial.title === title);
    return {
      title,
      gaps: mine.map(({ gap }) => gap),
      silence: Math.max(...mine.map(({ silence }) => silence)),
      counts: mine.map(({ from, to }) => ledger.counts(from, to)).reduce(sum),
    };
  });
}

function sum(a: Counts, b: Counts): Counts {
  return {
    sent: a.sent + b.sent,
    confirmed: a.confirmed + b.confirmed,
    received: a.received + b.received,
    duplicates: a.duplicates + b.duplicates,
    lost: a.lost + b.lost,
    errors: a.errors + b.errors,
    hung: a.hung + b.hung,
    unexplained: a.unexplained + b.unexplained,
  };
}
