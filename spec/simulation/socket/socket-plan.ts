import { Random } from '../../../lib/testing/simulation/random';
import type { Latency } from '../../../lib/testing/simulation/simulated-line';
import type { Direction } from '../../../lib/testing/simulation/faults';
import type { LineOptions } from './byte-line';

/** What happens to one of the connections that are open. `at`: ms from the start. `ms`: how long it lasts. */
export type SocketFault = { readonly at: number } & (
  | { readonly kind: 'reset' | 'nonsense' }
  /** The next connection is closed with the same write that opens it. */
  | { readonly kind: 'close-at-open' }
  | { readonly kind: 'half-close'; readonly direction: Direction }
  /** The connection breaks when that many more bytes have arrived. */
  | { readonly kind: 'cut-bytes'; readonly direction: Direction; readonly bytes: number }
  /** The broker does not read. */
  | { readonly kind: 'stall'; readonly ms: number }
  /** All connections are reset. The host accepts new ones and is mute on them, or it does not even answer the first packet. */
  | { readonly kind: 'outage'; readonly ms: number; readonly accepts: boolean }
  /** Nothing arrives on any connection; afterwards those of then go on, or never do. */
  | { readonly kind: 'black-hole'; readonly ms: number; readonly heals: boolean }
);

/** How a run goes down to the socket. */
export interface SocketPlan extends LineOptions {
  /** May the library write and read frames of its own? */
  readonly wire: boolean;
  /** Seconds. */
  readonly heartbeat: number;
  /** ms; undefined: as long as by default. */
  readonly connectTimeout?: number;
  /** Bytes, as the broker proposes it. */
  readonly frameMax: number;
  /** Bytes that a socket takes before `write` returns `false`. */
  readonly highWaterMark: number;
  /** Bytes that are added to bodies, one after the other. */
  readonly padding: readonly number[];
  /** How many in a hundred confirms the broker keeps for a while. */
  readonly late: number;
  readonly faults: readonly SocketFault[];
}

/** ms in which a connection breaks that is to break after so many bytes, even if there are fewer. */
export const CUT_WITHIN = 400;

/** When a fault is over: what it left behind is noticed by then. */
export function endOfSocketFault(fault: SocketFault, heartbeat: number): number {
  const lasts = 'ms' in fault ? fault.ms : CUT_WITHIN;
  const noticed = fault.kind === 'black-hole' && !fault.heals ? 4 * heartbeat * 1000 : 0;
  return fault.at + lasts + noticed;
}

const KINDS = [
  'reset',
  'half-close',
  'cut-bytes',
  'cut-bytes',
  'stall',
  'black-hole',
  'nonsense',
  'close-at-open',
] as const;

/** What a seed makes of the network. */
export function socketPlanOf(seed: number, duration: number): SocketPlan {
  const random = new Random(seed ^ 0x1b873593);
  const count = random.pick([0, 0, 1, 1, 2, 4]);
  const at = (): number => random.integer(1, Math.floor(duration * 0.6));
  const ms = (): number => random.integer(20, Math.max(50, Math.floor(duration * (random.chance(0.2) ? 0.4 : 0.1))));
  const direction = (): Direction => random.pick(['toBroker', 'toClient']);
  const faults = Array.from({ length: count }, (): SocketFault => {
    const kind = random.pick(KINDS);
    switch (kind) {
      case 'reset':
      case 'nonsense':
        return { at: at(), kind };
      case 'close-at-open':
        return { at: random.integer(1, 1000), kind };
      case 'half-close':
        return { at: at(), kind, direction: direction() };
      case 'cut-bytes':
        return { at: at(), kind, direction: direction(), bytes: random.integer(0, random.pick([40, 400, 4000])) };
      case 'stall':
        return { at: at(), kind, ms: ms() };
      case 'black-hole':
        return { at: at(), kind, ms: ms(), heals: random.chance(0.5) };
    }
  });
  const latency = random.pick<Latency>([
    { least: 0.1, most: 0.2 },
    { least: 0.2, most: 6 },
    { least: 5, most: 40 },
  ]);
  const padding = random.pick<readonly number[]>([[0], [0], [0, 200], [0, 0, 5000], [0, 0, 0, 20_000]]);
  // Large messages over a slow network with small windows would take minutes.
  const narrow = latency.most < 1 || Math.max(...padding) < 5000;
  return {
    wire: random.chance(0.6),
    heartbeat: random.pick([1, 2, 5, 10]),
    frameMax: random.pick([4096, 8192, 131_072, 131_072]),
    highWaterMark: random.pick([512, 16_384, 16_384]),
    latency,
    window: random.pick([narrow ? 300 : 8000, narrow ? 3000 : 16_384, 65_536]),
    reads: random.pick(['whole', 'split', 'split', 'bytes']),
    padding,
    late: random.pick([0, 0, 30]),
    faults: faults.sort((a, b) => a.at - b.at),
  };
}

/** Outages that last for longer than a dial may take. */
export function drawOutages(random: Random, duration: number): readonly SocketFault[] {
  return Array.from({ length: random.integer(1, 2) }, () => ({
    kind: 'outage' as const,
    at: random.integer(1, Math.floor(duration * 0.4)),
    ms: random.integer(1000, 15_000),
    accepts: random.chance(0.5),
  }));
}
