import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackage, isDebian, whyNotInstallable } from '../../../compose/debian';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const ELSEWHERE = ['/usr/bin', '/opt/google/chrome', '/Applications/Google Chrome.app/Contents/MacOS'];

/** The path of a Chromium on this machine: that of `CHROMIUM`, or one of the usual names in PATH. */
export function findChromium(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...ELSEWHERE];
  const usual = folders.flatMap((folder) => [...NAMES, 'Google Chrome'].map((name) => join(folder, name)));
  return [process.env['CHROMIUM'] ?? '', ...usual].find(isProgram);
}

/** Why there is no Chromium here and none can be installed, as a clause of a sentence; undefined if one can be had. */
export async function whyNoChromium(): Promise<string | undefined> {
  if (findChromium() !== undefined) return undefined;
  // On Ubuntu the package installs a snap, which does not run in a container.
  if (!isDebian('debian') || isDebian('ubuntu')) return 'there is no chromium, and this is not Debian';
  const why = await whyNotInstallable();
  return why && `there is no chromium, and none can be installed: ${why}`;
}

/** The path of Chromium; installs Debian's package if there is none. */
export async function getChromium(): Promise<string> {
  const found = findChromium();
  if (found !== undefined) return found;
  process.stderr.write('No chromium on this machine: installing the package with apt-get (about a minute)\n');
  await installPackage({ name: 'chromium', program: '/usr/bin/chromium' });
  return findChromium() ?? '/usr/bin/chromium';
}

function isProgram(path: string): boolean {
  try {
    if (path === '') return false;
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
