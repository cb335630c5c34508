import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Where packages put the programs themselves: the wrappers that Debian and RPM put into PATH change the user. */
const PACKAGED = '/usr/lib/rabbitmq/bin';

/** Not always in PATH: Homebrew, the generic archive, the official image. */
const ELSEWHERE = ['/usr/local/sbin', '/opt/homebrew/sbin', '/opt/homebrew/opt/rabbitmq/sbin', '/opt/rabbitmq/sbin'];

/** The folder that holds `rabbitmq-server` and `rabbitmqctl` on this machine, if any. */
export function findPrograms(): string | undefined {
  const inPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [PACKAGED, ...inPath, ...ELSEWHERE]) {
    if (!isProgram(join(folder, 'rabbitmq-server')) || !isProgram(join(folder, 'rabbitmqctl'))) continue;
    // Links in PATH lead to the real scripts, which find their siblings by their own folder.
    const real = dirname(realpathSync(join(folder, 'rabbitmq-server')));
    return isProgram(join(real, 'rabbitmqctl')) ? real : folder;
  }
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
