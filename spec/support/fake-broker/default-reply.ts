import type { Fields } from '../frames/methods';

export interface Reply {
  readonly name: string;
  readonly fields: Fields;
}

/** The part of RabbitMQ's server properties that clients look at. */
const SERVER_PROPERTIES = {
  product: 'RabbitMQ',
  version: '0.0.0-fake',
  platform: 'instance-queue',
  capabilities: {
    publisher_confirms: true,
    exchange_exchange_bindings: true,
    'basic.nack': true,
    consumer_cancel_notify: true,
    'connection.blocked': true,
    authentication_failure_close: true,
    per_consumer_qos: true,
  },
};

/** Methods answered by the one of the same name with `-ok`, without arguments. */
const PLAIN = new Set([
  'connection.close',
  'connection.update-secret',
  'channel.close',
  'basic.qos',
  'basic.recover',
  'confirm.select',
  'exchange.declare',
  'exchange.delete',
  'exchange.bind',
  'exchange.unbind',
  'queue.bind',
  'queue.unbind',
]);

let generated = 0;

/** The answer of a broker that agrees to everything; undefined where the protocol has none. */
export function defaultReply(name: string, fields: Fields): Reply | undefined {
  if (fields.nowait === true) return undefined;
  const ok = (extra: Fields = {}): Reply => ({ name: `${name}-ok`, fields: extra });
  if (PLAIN.has(name)) return ok();
  switch (name) {
    case 'protocol-header': {
      const start = { versionMajor: 0, versionMinor: 9, mechanisms: 'PLAIN AMQPLAIN EXTERNAL', locales: 'en_US' };
      return { name: 'connection.start', fields: { ...start, serverProperties: SERVER_PROPERTIES } };
    }
    case 'connection.start-ok':
      return { name: 'connection.tune', fields: { channelMax: 2047, frameMax: 131_072, heartbeat: 60 } };
    case 'connection.open':
      return ok({ knownHosts: '' });
    case 'channel.open':
      return ok({ channelId: '' });
    case 'channel.flow':
      return ok({ active: fields.active });
    case 'queue.declare':
      return ok({ queue: fields.queue || `amq.gen-fake-${(generated += 1)}`, messageCount: 0, consumerCount: 0 });
    case 'queue.purge':
    case 'queue.delete':
      return ok({ messageCount: 0 });
    case 'basic.consume':
      return ok({ consumerTag: fields.consumerTag || `amq.ctag-fake-${(generated += 1)}` });
    case 'basic.cancel':
      return ok({ consumerTag: fields.consumerTag });
    case 'basic.get':
      return { name: 'basic.get-empty', fields: { clusterId: '' } };
    default:
      return undefined;
  }
}
