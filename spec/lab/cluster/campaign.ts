import type { Counts } from './ledger';
import type { Scene, Strike, Trial } from './trials';

/** ms. */
const PEACE = 1000;

/** What all strikes of one trial came to. */
export interface Row {
  readonly title: string;
  /** From each fault to the next new message, ms. */
  readonly gaps: readonly number[];
  /** The longest time between two arrivals of new messages, from a fault until all nodes are back, ms. */
  readonly silence: number;
  readonly counts: Counts;
}

/** One strike, and the numbers of the messages sent meanwhile. */
interface Struck {
  readonly trial: Trial;
  readonly gap: number;
  readonly silence: number;
  readonly from: number;
  readonly to: number;
}

/** Lets one strike after the other come over the traffic, waits for all that is on its way, and makes up the account. */
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
    // What is in flight at the fault was sent before it, and belongs to it: peace first.
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
