import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** SIGKILL to the group whose leader's pid stands in the file; resolves once the leader is gone. No file, no process: fine. */
export async function killGroup(pidFile: string, limit = 10_000): Promise<void> {
  const pid = readPid(pidFile);
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  const deadline = performance.now() + limit;
  while (isRunning(pid)) {
    if (performance.now() > deadline)
      throw new Error(`Expected process ${pid} to end on SIGKILL, but it still runs after ${limit} ms`);
    await pause(10);
  }
}

/** Whether the process of the pid file is there and not merely waiting to be reaped. */
export function groupRuns(pidFile: string): boolean {
  const pid = readPid(pidFile);
  return pid !== undefined && isRunning(pid);
}

function readPid(pidFile: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
    // Never 0 or 1: as a group these would mean ourselves, or everything.
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    // A zombie answers to signals. Inside a container there may be no init that reaps it.
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}
