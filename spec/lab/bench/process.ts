import type { ChildProcess } from 'node:child_process';
import { programOf, type ClientName } from './clients/all';
import type { Programs } from './programs';
import type { Job, Sample } from './scenario/job';

/** The time limit of a job: a client that hangs must not block the run. */
const LIMIT = 120_000;

/** A client in a process of its own, so that its cost can be measured separately. */
export class ClientProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(client: ClientName, url: string, programs: Programs): Promise<ClientProcess> {
    const { name, flags = [] } = programOf(client);
    const child = programs.start(name, [url, ...flags]);
    await answerOf(child, client);
    return new ClientProcess(child);
  }

  run(job: Job): Promise<Sample> {
    const answer = answerOf(this.#child, job.kind);
    this.#child.send(job);
    return answer as Promise<Sample>;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** The next message from `child`. Rejects if the process ends first, or takes longer than `limit` ms. */
export function answerOf(child: ChildProcess, what: string, limit = LIMIT): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${what}: no answer within ${limit} ms.`));
    }, limit);
    const exited = (code: number | null): void => {
      clearTimeout(timer);
      reject(new Error(`${what}: the process ended (${code ?? 'killed'}).`));
    };
    child.once('exit', exited);
    child.once('message', (message) => {
      clearTimeout(timer);
      child.off('exit', exited);
      resolve(message);
    });
  });
}
