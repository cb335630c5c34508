import { defer, fromEvent, type Observable, of } from 'rxjs';
import { InstanceQueue } from '../index';
import type { ManagementOptions } from '../tools/index';
import { EXIT, exitCodeOf, UsageError } from './exit-codes';
import { type Surroundings, Terminal } from './terminal';

/** The options of every command. */
export interface GlobalOptions {
  readonly url?: string;
  readonly management?: string;
  readonly json?: boolean;
  readonly color: boolean;
}

/** ms to finish what is under way when a command ends. */
const DRAIN = 5000;
const PORT = { http: 15_672, https: 15_671 };

/** What a command runs with: a terminal, a queue that is opened on demand, and the signal of Ctrl-C. */
export class Session {
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C, SIGTERM, or when standard output is closed at its other end. */
  readonly signal: AbortSignal;
  /** With credentials: never shown. */
  readonly url: string;
  readonly #options: GlobalOptions;
  #queue: InstanceQueue | undefined;

  constructor(around: Surroundings, options: GlobalOptions, interrupted: AbortSignal) {
    this.#options = options;
    // An empty variable is as good as none.
    this.url = options.url ?? (around.env['AMQP_URL'] || 'amqp://localhost');
    this.terminal = new Terminal(around, { json: options.json === true, color: options.color });
    this.signal = AbortSignal.any([interrupted, this.terminal.deaf.signal]);
  }

  get queue(): InstanceQueue {
    return (this.#queue ??= new InstanceQueue({
      url: this.url,
      name: 'instance-queue cli',
      // A command says itself what is wrong.
      logger: 'silent',
      // A person waits: what fails at once is said at once, and a short loss is not the end.
      reconnect: { initialAttempts: 1, attempts: 5 },
    }));
  }

  /** The management API: as given, or on its usual port of the same host, with the same user. */
  get management(): Required<ManagementOptions> {
    const { management } = this.#options;
    const amqp = parsed(this.url, '--url', 'amqp://user:password@host/vhost');
    const vhost = amqp.pathname.length > 1 ? decoded(amqp.pathname.slice(1)) : '/';
    const secure = amqp.protocol === 'amqps:';
    const scheme = secure ? 'https' : 'http';
    const usual = `${scheme}://${amqp.hostname}:${String(PORT[scheme])}`;
    const base = parsed(management ?? usual, '--management', 'http://host:15672');
    if (base.username === '' && base.password === '') {
      base.username = amqp.username === '' ? 'guest' : amqp.username;
      base.password = amqp.username === '' ? 'guest' : amqp.password;
    }
    return { url: base.href, vhost };
  }

  /** Emits when `signal` is aborted, at once if it is already: its event comes once, and perhaps before anyone waits for it. */
  get interrupted$(): Observable<unknown> {
    const { signal } = this;
    return defer(() => (signal.aborted ? of(undefined) : fromEvent(signal, 'abort')));
  }

  async close(): Promise<void> {
    await this.#queue?.close({ drainTimeout: DRAIN });
  }
}

function parsed(url: string, option: string, example: string): URL {
  try {
    return new URL(url);
  } catch {
    // It may hold a password, and is not quoted.
    throw new UsageError(`${option}: expected a URL such as ${example}`);
  }
}

function decoded(vhost: string): string {
  try {
    return decodeURIComponent(vhost);
  } catch {
    throw new UsageError('--url: expected a virtual host that is percent-encoded: `%25` for `%`, `%2F` for `/`');
  }
}

/** A command: does its work, prints its result, and gives the exit code. */
export type Command = (session: Session) => Promise<number>;
/** Runs a command with a session; the command line passes it to each of its commands. */
export type Running = (run: Command) => Promise<void>;

/** Runs a command to its end, whatever happens. Resolves with the exit code. */
export async function runCommand(
  around: Surroundings,
  options: GlobalOptions,
  interrupted: AbortSignal,
  command: Command,
): Promise<number> {
  let session: Session | undefined;
  try {
    session = new Session(around, options, interrupted);
    const code = await command(session);
    return interrupted.aborted && code === EXIT.done ? EXIT.interrupted : code;
  } catch (error) {
    if (interrupted.aborted) return EXIT.interrupted;
    if (session?.terminal.deaf.signal.aborted === true) return EXIT.done;
    const text = error instanceof Error ? error.message : String(error);
    session?.terminal.fail(text);
    return exitCodeOf(error);
  } finally {
    await session?.close();
  }
}
