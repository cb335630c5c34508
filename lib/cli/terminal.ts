import { Format, Presets, SingleBar } from 'cli-progress';
import { createInterface } from 'node:readline/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createColors } from 'picocolors';

type Input = Readable & { readonly isTTY?: boolean };
type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** The streams and the environment of a process. */
export interface Surroundings {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: NodeJS.ProcessEnv;
}

export interface TerminalOptions {
  /** One JSON document, or one per line, on standard output. */
  readonly json: boolean;
  /** `false`: no colours, whatever the terminal. */
  readonly color: boolean;
}

type Paint = (text: string) => string;

/** Control characters: those of a message must not reach the terminal, which would obey them. */
const CONTROL = /\p{Cc}/gu;

/** Text of a message as it may be shown on a terminal. Line breaks and tabs stay if `lines` is set. */
export const plain = (text: string, lines = false): string =>
  text.replace(CONTROL, (character) =>
    lines && (character === '\n' || character === '\t')
      ? character
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );

/** In a pipe `isTTY` is missing, which `createColors` would take for a wish to guess: it colours whatever runs under `CI`. */
const isTerminal = ({ isTTY }: { readonly isTTY?: boolean }): boolean => isTTY === true;

/** Progress of something whose end may be known. */
export interface Progress {
  update(done: number, total: number): void;
  /** Writes lines to standard error, above the bar. */
  above(write: () => void): void;
  stop(): void;
}

/** Calls back when an output is closed at its other end, as by `head`; other errors of outputs are not hidden. */
export function whenClosed({ stdout, stderr }: Surroundings, closed: () => void): void {
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      closed();
    });
  }
}

/**
 * What the commands say. Results go to standard output, everything else to standard error; colours and progress bars only where
 * that is a terminal.
 */
export class Terminal {
  readonly json: boolean;
  /** Aborted when standard output is closed at its other end. */
  readonly deaf = new AbortController();
  readonly #around: Surroundings;
  readonly #out: ReturnType<typeof createColors>;
  readonly #err: ReturnType<typeof createColors>;

  constructor(around: Surroundings, { json, color }: TerminalOptions) {
    this.json = json;
    this.#around = around;
    const { stdout, stderr, env } = around;
    // https://no-color.org
    const wanted = color && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
    this.#out = createColors(wanted && isTerminal(stdout) && !json);
    this.#err = createColors(wanted && isTerminal(stderr));
    whenClosed(around, () => {
      this.deaf.abort();
    });
  }

  get bold(): Paint {
    return this.#out.bold;
  }
  get dim(): Paint {
    return this.#out.dim;
  }
  get green(): Paint {
    return this.#out.green;
  }
  get red(): Paint {
    return this.#out.red;
  }
  get yellow(): Paint {
    return this.#out.yellow;
  }

  /** A line of the result. */
  print(line = ''): void {
    if (!this.deaf.signal.aborted) this.#around.stdout.write(`${line}\n`);
  }

  /** A value of the result: a JSON document on one line. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value));
  }

  /** A line about the result. */
  note(line: string): void {
    this.#around.stderr.write(`${plain(line, true)}\n`);
  }

  /** A hint for people; in a pipe it is left out. */
  hint(line: string): void {
    if (isTerminal(this.#around.stderr) && !this.json)
      this.#around.stderr.write(`${this.#err.dim(plain(line, true))}\n`);
  }

  warn(line: string): void {
    this.#around.stderr.write(`${this.#err.yellow('warning:')} ${plain(line, true)}\n`);
  }

  fail(line: string): void {
    this.#around.stderr.write(`${this.#err.red('error:')} ${plain(line, true)}\n`);
  }

  /** Columns as wide as they need to be; the last is cut where the terminal ends. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const { isTTY, columns } = this.#around.stdout;
    const width = isTTY === true && columns !== undefined ? columns : Infinity;
    const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)));
    const line = (row: readonly string[]): string => {
      const text = row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  ');
      return text.length > width ? `${text.slice(0, Math.max(1, width - 1))}…` : text.trimEnd();
    };
    this.print(this.bold(line(head)));
    for (const row of rows) this.print(line(row));
  }

  /** A bar on standard error, if that is a terminal. */
  progress(what: string): Progress {
    if (!isTerminal(this.#around.stderr)) {
      return {
        update: () => undefined,
        above: (write) => {
          write();
        },
        stop: () => undefined,
      };
    }
    const bar = new SingleBar(
      {
        format: `${what} {bar} {value}/{total} · {eta_formatted}`,
        stream: this.#around.stderr,
        clearOnComplete: true,
        hideCursor: true,
        barsize: 30,
        // What is written above it erases it.
        forceRedraw: true,
        // Without progress the time left is not a number.
        formatTime: (time, options, multiple) =>
          Number.isFinite(time) ? Format.TimeFormat(time, options, multiple) : '?',
      },
      Presets.rect,
    );
    let started = false;
    let stopped = false;
    return {
      update: (done, total) => {
        if (stopped) return;
        if (!started) bar.start(total, done);
        else {
          bar.setTotal(total);
          bar.update(done);
        }
        started = true;
      },
      above: (write) => {
        if (started && !stopped) this.#around.stderr.write('\r\u001b[K');
        write();
      },
      stop: () => {
        if (!started) return;
        if (!stopped) bar.stop();
        stopped = true;
      },
    };
  }

  /** All of standard input. Rejects when the signal is aborted. */
  read(signal: AbortSignal): Promise<Buffer> {
    return buffer(addAbortSignal(signal, this.#around.stdin));
  }

  /** Can a person be asked? */
  get asks(): boolean {
    return isTerminal(this.#around.stdin) && isTerminal(this.#around.stderr);
  }

  /** Asks on the terminal; anything but y or yes is no. Undefined: Ctrl-C instead of an answer. */
  async confirm(question: string, signal: AbortSignal): Promise<boolean | undefined> {
    const { stdin: input, stderr: output } = this.#around;
    const asking = createInterface({ input, output });
    // readline reads the terminal key by key, and so Ctrl-C, too.
    const left = new AbortController();
    asking.once('SIGINT', () => {
      left.abort();
    });
    try {
      const answer = await asking.question(`${question} [y/N] `, { signal: AbortSignal.any([signal, left.signal]) });
      return /^y(es)?$/i.test(answer.trim());
    } catch (error) {
      if (left.signal.aborted || signal.aborted) return undefined;
      // Ctrl-D: no answer will come.
      if (typeof error === 'object' && error !== null && Reflect.get(error, 'name') === 'AbortError') return false;
      throw error;
    } finally {
      asking.close();
    }
  }
}

/** 1234567 → 1 234 567 */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
/** A number of things that have a regular plural: 1 letter, 2 letters. */
export const counted = (count: number, what: string): string => `${grouped(count)} ${what}${count === 1 ? '' : 's'}`;

/** How long ago, in the largest unit that fits. */
export function ago(date: Date | undefined, now = Date.now()): string {
  if (!date) return '–';
  const seconds = Math.max(0, Math.round((now - date.getTime()) / 1000));
  if (seconds < 120) return `${String(seconds)} s`;
  if (seconds < 7200) return `${String(Math.round(seconds / 60))} min`;
  if (seconds < 172_800) return `${String(Math.round(seconds / 3600))} h`;
  return `${String(Math.round(seconds / 86_400))} d`;
}

/** The arguments that name a queue in a shell, with a limit: a name may begin with a dash, or hold what a shell would take. */
export function forShell(name: string): string {
  const quoted = /^[\w./@:-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
  return name.startsWith('-') ? `--limit 1 -- ${quoted}` : `${quoted} --limit 1`;
}
