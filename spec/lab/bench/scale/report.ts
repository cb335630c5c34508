import { createRequire } from 'node:module';

/** A row of a table. */
export type Row = readonly string[];

/** Makes a program of a measurement, `node program.js <url> <scale>`, which sends the rows to its parent process. */
export function measure(work: (url: string, scale: number) => Promise<readonly Row[]>): void {
  const [url = '', scale = '1'] = process.argv.slice(2);
  // The parent process has ended.
  process.once('disconnect', () => process.exit());
  work(url, Number(scale)).then(
    (rows) => process.send?.(rows),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}

/** MiB in use by this process, including garbage. */
export const resident = (): number => process.memoryUsage.rss() / 2 ** 20;

/** The same after a garbage collection, where it can be forced. */
export function rss(): number {
  globalThis.gc?.();
  return resident();
}

/** KiB held by JavaScript, after a garbage collection. */
export function held(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 10;
}

/** As it is published, too. Not among what the clients load: they need no faults. */
export const { FaultProxy } = createRequire(__filename)(
  '../../../dist/testing',
) as typeof import('instance-queue/testing');
