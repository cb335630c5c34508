/** A time on the clock of a process, ms, and what it took from then on. */
export interface Taken {
  /** As `performance.now()`. */
  readonly began: number;
  readonly ms: number;
  /** User and system time, µs. */
  readonly cpu: number;
}

/** Starts a stopwatch for this process. The returned function reads it. */
export function stopwatch(): () => Taken {
  const cpu = process.cpuUsage();
  const began = performance.now();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { began, ms: performance.now() - began, cpu: user + system };
  };
}
