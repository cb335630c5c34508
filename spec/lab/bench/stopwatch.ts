/** Starts a stopwatch. The returned function gives the ms since then, and the user and system time of this process, µs. */
export function stopwatch(): () => { ms: number; cpu: number } {
  const cpu = process.cpuUsage();
  const began = performance.now();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { ms: performance.now() - began, cpu: user + system };
  };
}
