import { execFile, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A package of Debian, and what of it this project needs. */
export interface DebianPackage {
  readonly name: string;
  /** One of its programs: where it is, there is nothing to install. */
  readonly program: string;
  /** Shell, just before the installation. */
  readonly before?: string;
  /** Shell, just behind it. */
  readonly after?: string;
}

/**
 * Runs as root, under a lock, since two test runs may begin at once. Installing a package may start services for the whole
 * machine and have them started at each boot; nobody asked for that. `policy-rc.d` forbids the start, and the trap takes it
 * away again however the script ends; a policy of the machine's own that forbids it already is left alone.
 */
const script = ({ name, program, before = '', after = '' }: DebianPackage): string => `
set -eu
policy=/usr/sbin/policy-rc.d
saved=$policy.before-instance-queue
undo() {
  [ "\${ours:-}" ] && rm -f "$policy"
  [ -e "$saved" ] && mv "$saved" "$policy"
  true
}
trap undo EXIT
trap 'exit 1' HUP INT TERM
exec 9>/var/lock/instance-queue-install.lock
flock -w 300 9
[ -x ${program} ] && exit 0
verdict=0
[ -x "$policy" ] && { "$policy" ${name} start >/dev/null 2>&1 </dev/null || verdict=$?; }
if [ "$verdict" != 101 ]; then
  [ -e "$policy" ] && mv "$policy" "$saved"
  ours=1
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
known() { dpkg-query -W -f '\${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
${before}
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
limits='-o DPkg::Lock::Timeout=240 -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20'
apt-get $limits -qq update || echo 'apt-get update failed: going on with the package lists at hand' >&2
apt-get $limits -qq -y --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\
  install ${name}
${after}
`;

/** Whether this machine is one that {@link installPackage} can serve, and if not, why: a clause for a sentence. */
export async function whyNotInstallable(): Promise<string | undefined> {
  if (!isDebian('debian', 'ubuntu')) return 'this is neither Debian nor Ubuntu';
  try {
    accessSync('/usr/bin/apt-get', constants.X_OK);
  } catch {
    return 'there is no apt-get';
  }
  if (process.getuid?.() === 0) return undefined;
  try {
    await run('sudo', ['-n', 'true'], { timeout: 10_000 });
    return undefined;
  } catch {
    return 'this is neither root nor a user with passwordless sudo';
  }
}

/** Is this one of these distributions, or made of one? */
export function isDebian(...ids: readonly string[]): boolean {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return new RegExp(`^ID(_LIKE)?=.*\\b(${ids.join('|')})\\b`, 'm').test(release);
  } catch {
    return false;
  }
}

/** Asks nothing, starts nothing. Rejects with the last lines of apt-get. */
export async function installPackage(wanted: DebianPackage): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-install-'));
  const log = join(folder, 'apt.log');
  try {
    const code = await asRoot(['/bin/sh', '-c', script(wanted)], log);
    if (code === 0) return;
    const said = readFileSync(log, 'utf8').trim().split('\n').slice(-8).join('\n');
    throw new Error(
      `Expected apt-get to install the package ${wanted.name}, but it ended with ${code}. Its last lines:\n${said}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * No input to wait for, and output into a file instead of a pipe. Detached too: a package manager that dies with the terminal
 * leaves a half-installed package, so an interrupted caller lets it finish.
 */
function asRoot(command: readonly string[], log: string): Promise<number | string> {
  const [program = '', ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
  const output = openSync(log, 'w');
  const child = spawn(program, args, { stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'no exit code'));
  });
}
