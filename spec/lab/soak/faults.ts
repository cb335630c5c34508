import { seeded } from './seeded';

/** The weight of each kind, and its longest duration, ms. */
export const KINDS = {
  cut: { weight: 4, lasts: 0 },
  finish: { weight: 2, lasts: 200 },
  refuse: { weight: 3, lasts: 600 },
  flaps: { weight: 2, lasts: 500 },
  'black hole': { weight: 2, lasts: 2500 },
  delay: { weight: 2, lasts: 1000 },
  'stop reading': { weight: 2, lasts: 1200 },
  'closed by the broker': { weight: 2, lasts: 0 },
  'memory alarm': { weight: 1, lasts: 2000 },
  'broker restarted': { weight: 1, lasts: 0 },
} as const;

export type Kind = keyof typeof KINDS;

/** A fault with its random choices. */
export interface Fault {
  readonly kind: Kind;
  /** ms without a fault before it. */
  readonly after: number;
  readonly lasts: number;
  /** From 0 to 1: selects the instance and other details. */
  readonly whom: number;
  readonly how: number;
}

/** An infinite sequence of faults, determined by the seed. */
export function* faults(seed: number): Generator<Fault, never> {
  const random = seeded(seed);
  const bag = (Object.keys(KINDS) as Kind[]).flatMap((kind) => Array<Kind>(KINDS[kind].weight).fill(kind));
  for (;;) {
    const kind = bag[Math.floor(random() * bag.length)] ?? 'cut';
    const after = 100 + random() * 900;
    yield { kind, after, lasts: random() * KINDS[kind].lasts, whom: random(), how: random() };
  }
}
