import { fork, type ChildProcess } from 'node:child_process';
import { programOf, type ClientName } from './clients/all';
import type { Job, Sample } from './scenario/job';

/** The time limit of a job: a client that hangs must not block the run. */
const LIMIT = 120_000;

/** A client in a process of its own, so that its cost can be measured separately. */
export class ClientProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(client: ClientName, url: string): Promise<ClientProcess> {
    const { file, flags } = programOf(client);
    const child = fork(file, [url, ...flags]);
    const started = new ClientProcess(child);
    await started.#next();
    return started;
  }

  run(job: Job): Promise<Sample> {
    const answer = this.#next();
    this.#child.send(job);
    return answer as Promise<Sample>;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  #next(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`No answer within ${LIMIT} ms.`));
      }, LIMIT);
      const exited = (code: number | null): void => {
        clearTimeout(timer);
        reject(new Error(`The client's process ended (${code ?? 'killed'}).`));
      };
      this.#child.once('exit', exited);
      this.#child.once('message', (message) => {
        clearTimeout(timer);
        this.#child.off('exit', exited);
        resolve(message);
      });
    });
  }
}
