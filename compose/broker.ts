/**
 * A running RabbitMQ, wherever this runs: the one of `AMQP_URL`, a container, a private node of the `rabbitmq-server` on this
 * machine, or that after installing it. What it started, it leaves nothing of, even if this process is killed.
 */
import { addressOf } from './amqp-answer';
import type { BrokerHandle } from './broker-handle';
import { ControlledBroker, type Broker } from './control';
import { dockerHost, startDocker } from './docker-broker';
import { localHost, startLocal } from './local-broker';
import type { Extras } from './local-node';
import { localPrograms } from './local-programs';
import { urlHost, useUrl } from './url-broker';

export type { BrokerHandle } from './broker-handle';
export type { Broker } from './control';
export type { ChannelRow, ConnectionRow, ConsumerRow, QueueRow } from './listings';

/** With plugins or a configuration of its own, ask for a private one. */
export interface BrokerOptions extends Extras {
  /** A broker that may be stopped and killed: never the one of `AMQP_URL`. @default false */
  readonly private?: boolean;
  /** The port wished for; another one if it is taken. @default a free one */
  readonly port?: number;
  /** Called with each line of progress. @default none */
  readonly say?: (line: string) => void;
}

/**
 * Brings a broker up. In this order: `AMQP_URL` if set; a container if a Docker engine can be reached and the image
 * (`RABBITMQ_IMAGE`) can be had; a private node of the installed `rabbitmq-server`; on Debian and Ubuntu, as root or with
 * passwordless sudo, the same after installing the package.
 *
 * Rejects if none of it is possible, and with a reason if the broker of `AMQP_URL` does not answer or the node does not start.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const say = options.say ?? (() => undefined);
  const url = process.env.AMQP_URL;
  if (url !== undefined && url !== '' && options.private !== true) {
    const handle = await useUrl(url);
    say(`Using RabbitMQ ${handle.version} of AMQP_URL at ${addressOf(url)}`);
    return attachBroker(handle);
  }
  const began = performance.now();
  const started =
    (await startDocker(options.port, say, options)) ??
    (await startLocal(await localPrograms(say), options.port, options));
  const { handle, host } = started;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const where =
    handle.how === 'docker' ? `in a container of ${handle.image}` : `as a private node in ${handle.node.folder}`;
  say(`RabbitMQ ${handle.version} runs ${where}, at ${addressOf(handle.url)} (after ${seconds} s)`);
  return new ControlledBroker(handle, host);
}

/** The same broker from another process. Stopping it there leaves its owner nothing to stop, which is fine. */
export function attachBroker(handle: BrokerHandle): Broker {
  switch (handle.how) {
    case 'url':
      return new ControlledBroker(handle, urlHost(handle));
    case 'docker':
      return new ControlledBroker(handle, dockerHost(handle));
    case 'local':
      return new ControlledBroker(handle, localHost(handle));
  }
}
