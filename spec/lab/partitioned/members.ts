import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

/** ms in which shares have to be even again after a change. */
export const EVEN_WITHIN = 3000;

interface Report {
  readonly assignment?: readonly number[];
  readonly error?: string;
  readonly began?: boolean;
  readonly leaving?: boolean;
}

/** A process that consumes. */
export interface MemberProcess {
  readonly process: ChildProcess;
  readonly file: string;
  assignment: readonly number[];
  began: boolean;
}

export interface MembersOptions {
  readonly urls: readonly string[];
  readonly name: string;
  readonly partitions: number;
  readonly folder: string;
}

/** The processes that share one partitioned queue. */
export class Members {
  readonly all = new Set<MemberProcess>();
  readonly files: string[] = [];
  readonly errors: string[] = [];
  readonly #options: MembersOptions;
  readonly #changed = new Set<() => void>();

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** Starts one. Resolves with the ms until shares are even, from its call of `consume`. */
  async join(): Promise<number> {
    const { urls, name, partitions, folder } = this.#options;
    const file = join(folder, `member-${this.files.length}`);
    this.files.push(file);
    const child = fork(join(__dirname, 'member.program.ts'), [urls.join(), name, String(partitions), file], {
      execArgv: ['-r', 'esbuild-register'],
    });
    const member: MemberProcess = { process: child, file, assignment: [], began: false };
    this.all.add(member);
    child.on('message', ({ assignment, error, began }: Report) => {
      if (assignment) member.assignment = assignment;
      if (error !== undefined) this.errors.push(error);
      if (began) member.began = true;
      this.#notify();
    });
    await this.#until(() => member.began, 30_000);
    return this.#even();
  }

  /** Ends one, `gracefully` or by SIGKILL. Resolves with the ms until shares are even. */
  async part(member: MemberProcess, gracefully: boolean): Promise<number> {
    this.all.delete(member);
    const ended = new Promise((resolve) => member.process.once('exit', resolve));
    member.process.kill(gracefully ? 'SIGTERM' : 'SIGKILL');
    const took = await this.#even();
    await ended;
    return took;
  }

  /** Every partition is held by exactly one process, and shares differ by 1 at most. */
  get even(): boolean {
    const shares = [...this.all].map(({ assignment }) => assignment);
    const held = shares.flat();
    const sizes = shares.map(({ length }) => length);
    return (
      held.length === this.#options.partitions &&
      new Set(held).size === held.length &&
      Math.max(...sizes) - Math.min(...sizes) <= 1
    );
  }

  get shares(): string {
    return [...this.all].map(({ assignment }) => assignment.length).join(' ');
  }

  stop(): void {
    for (const { process } of this.all) process.kill('SIGKILL');
    this.all.clear();
  }

  async #even(): Promise<number> {
    const began = performance.now();
    await this.#until(() => this.even, 60_000);
    return performance.now() - began;
  }

  #until(is: () => boolean, within: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#changed.delete(look);
        reject(new Error(`Not within ${within} ms. Shares: ${this.shares}. ${this.errors.join(' ')}`));
      }, within);
      const look = (): void => {
        if (!is()) return;
        clearTimeout(timer);
        this.#changed.delete(look);
        resolve();
      };
      this.#changed.add(look);
      look();
    });
  }

  #notify(): void {
    for (const look of [...this.#changed]) look();
  }
}
