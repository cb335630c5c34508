import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Ledger } from '../../../compose/ledger';
import type { Assignment, Command, Entry, Report } from './protocol';

/** ms for a client to connect, declare and consume. */
const OPEN_LIMIT = 20_000;

interface Asked {
  readonly resolve: (value: number) => void;
  readonly reject: (error: Error) => void;
}

/** A client in a process of its own, so that a crash affects that client only. Its reports are entered in a ledger. */
export class ClientProcess {
  readonly #child: ChildProcess;
  readonly #ledger: Ledger;
  readonly #asked = new Map<number, Asked>();
  readonly #ended: Promise<void>;
  readonly warnings: string[] = [];
  #questions = 0;
  #stderr = '';
  #stopping = false;
  #crash: string | undefined;
  #onOpen: () => void = () => undefined;

  private constructor(program: string, assignment: Assignment, ledger: Ledger) {
    this.#ledger = ledger;
    this.#child = fork(join(__dirname, 'adapters', program), [JSON.stringify(assignment)], {
      execArgv: ['-r', 'esbuild-register'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.#stderr = (this.#stderr + chunk.toString()).slice(-20_000)),
    );
    this.#child.on('message', (report: Report) => this.#take(report));
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        if (!this.#stopping) this.#crash = this.#lastWords(code ?? signal);
        for (const { reject } of this.#asked.values()) reject(new Error(this.#crash ?? 'The client was stopped'));
        this.#asked.clear();
        resolve();
      });
    });
  }

  /** Rejects if the client is not open in time, or crashes first. */
  static async open(program: string, assignment: Assignment, ledger: Ledger): Promise<ClientProcess> {
    const client = new ClientProcess(program, assignment, ledger);
    let late: NodeJS.Timeout | undefined;
    const outcome = await Promise.race([
      new Promise<'open'>((resolve) => (client.#onOpen = () => resolve('open'))),
      client.#ended.then(() => `crashed: ${client.crash ?? ''}`),
      new Promise<string>((resolve) => (late = setTimeout(resolve, OPEN_LIMIT, `not open in ${OPEN_LIMIT} ms`))),
    ]);
    clearTimeout(late);
    if (outcome === 'open') return client;
    await client.stop();
    throw new Error(`${program} ${outcome}`);
  }

  /** The output of a process that has crashed. */
  get crash(): string | undefined {
    return this.#crash;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Resolves with its answer. Rejects if it ends before. */
  ask(command: Command): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#crash !== undefined || !this.#child.connected) {
        reject(new Error(this.#crash ?? 'The client was stopped'));
        return;
      }
      const id = (this.#questions += 1);
      this.#asked.set(id, { resolve, reject });
      this.#child.send({ id, command });
    });
  }

  async stop(): Promise<void> {
    if (this.#crash === undefined) this.#stopping = true;
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #take(report: Report): void {
    if ('opened' in report) {
      this.#onOpen();
    } else if ('entries' in report) {
      for (const entry of report.entries) this.#enter(entry);
    } else {
      const asked = this.#asked.get(report.answer);
      this.#asked.delete(report.answer);
      if (report.error === undefined) asked?.resolve(report.value);
      else asked?.reject(new Error(report.error));
    }
  }

  #enter(entry: Entry): void {
    switch (entry[0]) {
      case 'sent':
        this.#ledger.send(entry[2]);
        break;
      case 'confirmed':
        this.#ledger.confirm(entry[1], entry[2]);
        break;
      case 'failed':
        this.#ledger.fail(entry[1], entry[3]);
        break;
      case 'received':
        this.#ledger.receive(entry[1], entry[2], entry[3]);
        break;
      case 'warning':
        this.warnings.push(entry[1]);
        break;
    }
  }

  #lastWords(how: number | NodeJS.Signals | null): string {
    const error = this.#stderr.split('\n').find((line) => /^\w*(Error|Exception)\b/.test(line));
    return `${String(how)}${error === undefined ? '' : `, ${error}`}`;
  }
}
