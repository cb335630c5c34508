import { execute } from '../scenario/execute';
import type { Job } from '../scenario/job';
import type { OpenClient } from './client';

/** Makes a program of a client: opens it, then executes jobs, one at a time. */
export function serve(open: OpenClient): void {
  const url = process.argv[2] ?? '';
  open(url).then((client) => {
    process.on('message', (job: Job) => {
      execute(client, job, () => open(url)).then((sample) => process.send?.(sample), failed);
    });
    // The parent process has ended.
    process.once('disconnect', () => process.exit());
    process.send?.('ready');
  }, failed);
}

function failed(error: unknown): void {
  console.error(error);
  process.exit(1);
}
