import { execFile, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPrograms } from './rabbitmq-programs';

const run = promisify(execFile);

/**
 * Runs as root, under a lock, since two test runs may begin at once. Installing the package on Debian starts a broker for the
 * whole machine and has it started at each boot; nobody asked for that one. `policy-rc.d` forbids the start, and the trap
 * takes it away again however the script ends; a policy of the machine's own that forbids it already is left alone.
 */
const SCRIPT = `
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
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && exit 0
verdict=0
[ -x "$policy" ] && { "$policy" rabbitmq-server start >/dev/null 2>&1 </dev/null || verdict=$?; }
if [ "$verdict" != 101 ]; then
  [ -e "$policy" ] && mv "$policy" "$saved"
  ours=1
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
known() { dpkg-query -W -f '\${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
epmd_before=; known erlang-base && epmd_before=1
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
limits='-o DPkg::Lock::Timeout=240 -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20'
apt-get $limits -qq update || echo 'apt-get update failed: going on with the package lists at hand' >&2
apt-get $limits -qq -y --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\
  install rabbitmq-server
if command -v systemctl >/dev/null 2>&1; then
  systemctl --quiet disable rabbitmq-server.service || true
  [ "$epmd_before" ] || systemctl --quiet disable epmd.service epmd.socket || true
fi
update-rc.d rabbitmq-server disable || true
`;

/** Whether this machine is one that {@link installRabbitMQ} can serve, and if not, why: a clause for a sentence. */
export async function whyNotInstallable(): Promise<string | undefined> {
  if (!isDebianLike()) return 'this is neither Debian nor Ubuntu';
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

/** Installs Debian's package and gives the folder of its programs. Asks nothing, starts nothing. */
export async function installRabbitMQ(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-install-'));
  const log = join(folder, 'apt.log');
  try {
    const code = await asRoot(['/bin/sh', '-c', SCRIPT], log);
    const programs = findPrograms();
    if (code === 0 && programs !== undefined) return programs;
    const said = readFileSync(log, 'utf8').trim().split('\n').slice(-8).join('\n');
    throw new Error(
      `Expected apt-get to install the package rabbitmq-server, but it ended with ${code}. Its last lines:\n${said}`,
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

function isDebianLike(): boolean {
  try {
    const release = readFileSync('/etc/os-release', 'utf8');
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
  } catch {
    return false;
  }
}
