/** A figure of this library alone. */
export interface Figure {
  readonly what: string;
  readonly value: string;
}

/** Makes a program of a measurement, `node program.ts <url> <scale>`, which sends the figures to its parent process. */
export function measure(work: (url: string, scale: number) => Promise<readonly Figure[]>): void {
  const [url = '', scale = '1'] = process.argv.slice(2);
  work(url, Number(scale)).then(
    (figures) => process.send?.(figures, () => process.exit()),
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
