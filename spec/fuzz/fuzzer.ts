/** A coverage-guided fuzzer in one process, on the block coverage that V8 counts by itself. */
import { Session, type Profiler } from 'node:inspector';

/** Reads bytes that anyone may have sent; throws if it finds a fault. */
export type Target = (data: Buffer) => void;

export interface Finding {
  readonly data: Buffer;
  readonly error: unknown;
}
export interface FuzzOptions {
  /** Inputs to begin with. */
  readonly corpus: readonly Buffer[];
  readonly executions: number;
  /** ms */
  readonly within?: number;
  readonly seed: number;
  /** The largest input, bytes. */
  readonly largest?: number;
  /** Scripts whose coverage counts. */
  readonly counts: (url: string) => boolean;
  /** Called for each input that reached something new. */
  readonly reached?: (data: Buffer) => void;
}
export interface Fuzzed {
  readonly executions: number;
  /** Functions that ran, and blocks in them that did not. */
  readonly functions: number;
  readonly missing: number;
  readonly finding: Finding | undefined;
}

/** Coverage is read after so many executions: reading it takes as long as hundreds of them. */
const BATCH = 2048;
const LARGEST = 512;

/** A random number generator with a seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Octets and integers at which parsers go wrong. */
const OCTETS = [0, 1, 2, 0x7f, 0x80, 0xce, 0xff, ...Buffer.from('tbBsuIilfdDSAFxVT!')];
const INTEGERS = [
  0, 1, 4, 5, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffff7fff, 0xffff8000,
  0xffffff7f, 0xffffff80, 0xffffffff,
];

/** Changes inputs at random. */
class Mutator {
  readonly #random: (below: number) => number;
  readonly #largest: number;

  constructor(random: (below: number) => number, largest: number) {
    this.#random = random;
    this.#largest = largest;
  }

  mutate(data: Buffer, other: Buffer): Buffer {
    let changed: Buffer = Buffer.from(data);
    for (let times = 1 + this.#random(4); times > 0; times--) changed = this.#once(changed, other);
    return changed.length > this.#largest ? changed.subarray(0, this.#largest) : changed;
  }

  #once(data: Buffer, other: Buffer): Buffer {
    const random = this.#random;
    const at = random(data.length + 1);
    switch (random(8)) {
      case 0:
        if (at < data.length) data[at] = (data[at] ?? 0) ^ (1 << random(8));
        return data;
      case 1:
        if (at < data.length) data[at] = OCTETS[random(OCTETS.length)] ?? 0;
        return data;
      case 2:
        if (at < data.length) data[at] = (data[at] ?? 0) + random(16) - 8;
        return data;
      case 3:
        if (at + 4 <= data.length) data.writeUInt32BE(INTEGERS[random(INTEGERS.length)] ?? 0, at);
        return data;
      case 4:
        return Buffer.concat([data.subarray(0, at), data.subarray(Math.min(data.length, at + 1 + random(8)))]);
      case 5:
        return Buffer.concat([data.subarray(0, at), Buffer.of(random(256)), data.subarray(at)]);
      case 6: {
        const from = random(data.length + 1);
        return Buffer.concat([data.subarray(0, at), data.subarray(from, from + random(32)), data.subarray(at)]);
      }
      default: {
        const from = random(other.length + 1);
        return Buffer.concat([data.subarray(0, at), other.subarray(from, from + 1 + random(64)), data.subarray(at)]);
      }
    }
  }
}

type Range = readonly [from: number, to: number];

/**
 * What has not run yet, by function. V8 reports a block of its own only where it ran more or less often than what is around it, so
 * that the blocks that did not run are what two reports have in common.
 */
class Coverage {
  readonly #session = new Session();
  readonly #counts: (url: string) => boolean;
  readonly #missing = new Map<string, readonly Range[]>();

  constructor(counts: (url: string) => boolean) {
    this.#counts = counts;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Functions that ran, and blocks in them that did not. */
  get summary(): { readonly functions: number; readonly missing: number } {
    const missing = [...this.#missing.values()].reduce((sum, ranges) => sum + ranges.length, 0);
    return { functions: this.#missing.size, missing };
  }

  /** Has anything run since the last call that had not run before? `keep`: then it has from now on. */
  read(keep = true): boolean {
    let found: readonly Profiler.ScriptCoverage[] = [];
    // The session belongs to this thread, so that it answers at once.
    this.#session.post('Profiler.takePreciseCoverage', (_error, { result }) => {
      found = result;
    });
    let fresh = false;
    for (const { url, functions } of found) {
      if (!this.#counts(url)) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (!whole || whole.count === 0) continue;
        const name = `${url}:${String(whole.startOffset)}`;
        const idle = ranges
          .filter(({ count }) => count === 0)
          .map(({ startOffset, endOffset }) => [startOffset, endOffset] as const);
        const before = this.#missing.get(name);
        const left = before ? common(before, idle) : idle;
        if (before && size(left) === size(before)) continue;
        fresh = true;
        if (keep) this.#missing.set(name, left);
      }
    }
    return fresh;
  }

  stop(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }
}

const size = (ranges: readonly Range[]): number => ranges.reduce((sum, [from, to]) => sum + to - from, 0);

const common = (some: readonly Range[], others: readonly Range[]): readonly Range[] =>
  some.flatMap(([from, to]) =>
    others
      .map(([start, end]) => [Math.max(from, start), Math.min(to, end)] as const)
      .filter(([start, end]) => start < end),
  );

/**
 * Runs a target on ever new inputs, and keeps those that reach new code. Ends with the first fault, or when executions or time are
 * spent. The same seed and corpus try the same inputs.
 */
export function fuzz(target: Target, options: FuzzOptions): Fuzzed {
  const { executions, seed, counts, reached, within = Infinity, largest = LARGEST } = options;
  const until = performance.now() + within;
  const random = randomFrom(seed);
  const mutator = new Mutator(random, largest);
  const corpus: Buffer[] = [...options.corpus, Buffer.alloc(0)];
  const coverage = new Coverage(counts);
  const pick = (): Buffer => corpus[random(corpus.length)] ?? Buffer.alloc(0);
  let done = 0;
  let finding: Finding | undefined;
  const execute = (data: Buffer): boolean => {
    done++;
    try {
      target(data);
      return true;
    } catch (error) {
      finding = { data, error };
      return false;
    }
  };
  /** Which of these inputs reach something new? Runs them again by halves, which is rare. */
  const search = (inputs: readonly Buffer[]): void => {
    if (!inputs.every(execute) || !coverage.read(inputs.length === 1)) return;
    const [data] = inputs;
    if (data && inputs.length === 1) {
      corpus.push(data);
      reached?.(data);
      return;
    }
    const middle = inputs.length >> 1;
    search(inputs.slice(0, middle));
    search(inputs.slice(middle));
  };

  for (const data of corpus) if (!execute(data)) break;
  coverage.read();
  while (finding === undefined && done < executions && performance.now() < until) {
    const inputs = Array.from({ length: Math.min(BATCH, executions - done) }, () => mutator.mutate(pick(), pick()));
    search(inputs);
  }
  const { functions, missing } = coverage.summary;
  coverage.stop();
  return { executions: done, functions, missing, finding };
}
