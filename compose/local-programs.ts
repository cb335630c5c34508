import { whyNotInstallable } from './debian';
import { installRabbitMQ } from './install';
import { findPrograms } from './rabbitmq-programs';

/** The folder of RabbitMQ's programs on this machine; installs them where that can be done. Rejects with what else to do. */
export async function localPrograms(say: (line: string) => void): Promise<string> {
  const found = findPrograms();
  if (found !== undefined) {
    say(`Starting a private node of the rabbitmq-server in ${found}`);
    return found;
  }
  const whyNot = await whyNotInstallable();
  if (whyNot !== undefined) {
    throw new Error(
      `Found no way to a RabbitMQ broker on this machine: AMQP_URL is not set or not wanted, no Docker engine could give one, ` +
        `there is no rabbitmq-server, and none can be installed, since ${whyNot}. Do one of these:\n` +
        '  - set AMQP_URL to a broker, e.g. AMQP_URL=amqp://guest:guest@127.0.0.1:5672\n' +
        '  - start a Docker engine; RABBITMQ_IMAGE names another image than the default\n' +
        '  - install RabbitMQ so that rabbitmq-server is in PATH\n' +
        '  - on Debian or Ubuntu, be root or have passwordless sudo, and the package is installed for you',
    );
  }
  say(
    'No rabbitmq-server on this machine: installing the package with apt-get (about a minute; no broker of the machine is started)',
  );
  return installRabbitMQ();
}
