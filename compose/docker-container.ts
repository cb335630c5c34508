import { setTimeout as pause } from 'node:timers/promises';
import type { ContainerRuntimeClient } from 'testcontainers';
import { ctlError } from './ctl-error';
import { findEngine } from './docker-engine';

export async function containerCtl(container: string, args: readonly string[]): Promise<string> {
  const engine = await needEngine();
  const command = ['rabbitmqctl', '-q', ...args];
  // Without a locale of UTF-8, the command prints in Latin-1.
  const options = { env: { LC_ALL: 'C.UTF-8' } };
  const { exitCode, stdout, stderr } = await engine.container.exec(
    engine.container.getById(container),
    command,
    options,
  );
  if (exitCode === 0) return stdout;
  throw ctlError(args, stderr.trim() || stdout.trim() || `exit code ${exitCode}`);
}

/** SIGKILL to the first process of the container, with which all others of it end. */
export async function killContainer(container: string): Promise<void> {
  const engine = await needEngine();
  await engine.container.getById(container).kill({ signal: 'SIGKILL' }).catch(except(409));
  await engine.container.getById(container).wait();
}

/** Comes up on the same port, for that is part of its definition. */
export async function startContainer(container: string): Promise<void> {
  const engine = await needEngine();
  await engine.container.getById(container).start().catch(except(304));
}

/**
 * Removes the container and its volumes, and resolves when it is gone. Not found may mean not there yet, if its owner died
 * while the engine was about to create it; so it is looked for a little longer.
 */
export async function removeContainer(container: string, patience = 3_000): Promise<void> {
  const engine = await needEngine();
  const deadline = performance.now() + patience;
  let removed = false;
  while (!removed || (await exists(engine, container))) {
    try {
      await engine.container.getById(container).remove({ force: true, v: true });
      removed = true;
    } catch (error) {
      // 409: somebody else is removing it, as Ryuk may be.
      except(404, 409)(error);
      if (performance.now() > deadline) return;
      await pause(100);
    }
  }
}

/** The last lines that the container printed, for the text of an error. */
export async function containerLog(container: string, lines = 15): Promise<string> {
  try {
    const engine = await needEngine();
    const log = await engine.container.getById(container).logs({ stdout: true, stderr: true, tail: lines });
    return withoutHeaders(log).trim();
  } catch {
    return '(it left no log)';
  }
}

async function exists(engine: ContainerRuntimeClient, container: string): Promise<boolean> {
  return engine.container
    .getById(container)
    .inspect()
    .then(
      () => true,
      () => false,
    );
}

async function needEngine(): Promise<ContainerRuntimeClient> {
  const engine = await findEngine();
  if (engine === undefined) throw new Error('Expected the Docker engine that runs the broker, but none can be reached');
  return engine;
}

function except(...codes: readonly number[]): (error: unknown) => void {
  return (error) => {
    if (!codes.includes((error as { statusCode?: number }).statusCode ?? 0)) throw error;
  };
}

/** Docker puts eight bytes before each piece of output: of which stream it is, three zeros, and its length. */
function withoutHeaders(log: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= log.length; at += 8 + log.readUInt32BE(at + 4)) {
    pieces.push(log.subarray(at + 8, at + 8 + log.readUInt32BE(at + 4)));
  }
  return Buffer.concat(pieces).toString('utf8');
}
