/** One figure of this library by itself. */
export interface Figure {
  readonly what: string;
  readonly value: string;
}

/** Makes a program of a measurement, `node program.ts <url> <scale>`, that hands figures over to whoever started it. */
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

/** MiB of everything this process holds, garbage too. */
export const resident = (): number => process.memoryUsage.rss() / 2 ** 20;

/** The same after a collection of garbage, where that is allowed. */
export function rss(): number {
  globalThis.gc?.();
  return resident();
}
