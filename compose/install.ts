import { installPackage, type DebianPackage } from './debian';
import { findPrograms } from './rabbitmq-programs';

/** Debian starts a broker, and epmd, for the whole machine and at each boot: not ours. */
const RABBITMQ: DebianPackage = {
  name: 'rabbitmq-server',
  program: '/usr/lib/rabbitmq/bin/rabbitmq-server',
  before: 'epmd_before=; known erlang-base && epmd_before=1',
  after: `
if command -v systemctl >/dev/null 2>&1; then
  systemctl --quiet disable rabbitmq-server.service || true
  [ "$epmd_before" ] || systemctl --quiet disable epmd.service epmd.socket || true
fi
update-rc.d rabbitmq-server disable || true`,
};

/** Installs Debian's package and gives the folder of its programs. Asks nothing, starts nothing. */
export async function installRabbitMQ(): Promise<string> {
  await installPackage(RABBITMQ);
  const programs = findPrograms();
  if (programs === undefined)
    throw new Error('The package rabbitmq-server is installed, but rabbitmq-server and rabbitmqctl are not found');
  return programs;
}
