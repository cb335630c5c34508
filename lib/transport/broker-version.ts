import { ChannelError } from '../errors';
import type { QueueSpec, Topology } from '../topology';

/** What a broker says of itself when a connection opens. */
export interface BrokerIdentity {
  readonly product: string;
  readonly version: string;
}

/**
 * Options that older RabbitMQ versions in use do not support, each with the first version that does. An older broker accepts
 * such an option and ignores it: it would redeliver a message at once, or send every message of a stream.
 */
const QUEUE_OPTIONS = { consumerTimeout: '3.12', delayedRetry: '4.3' } as const satisfies Partial<
  Record<keyof QueueSpec, string>
>;
const CONSUME_OPTIONS = { consumerTimeout: '4.3', filter: '3.13' } as const;

/** Is it RabbitMQ, of this version or a later one? */
export function isRabbitMq(broker: BrokerIdentity | undefined, since: string): boolean {
  if (broker?.product !== 'RabbitMQ') return false;
  const [major = 0, minor = 0] = numbers(broker.version);
  const [sinceMajor = 0, sinceMinor = 0] = numbers(since);
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

const numbers = (version: string): number[] => version.split('.').map((part) => Number.parseInt(part, 10));

/**
 * Why this broker must not declare a topology: it is a RabbitMQ that is too old for an option of a queue. Undefined: it may, or
 * its version is unknown.
 */
export function declareRefusal(
  broker: BrokerIdentity | undefined,
  topology: Topology,
  own?: QueueSpec,
): ChannelError | undefined {
  for (const spec of [...(topology.queues ?? []), ...(own ? [own] : [])]) {
    if (spec.passive === true) continue;
    const refusal = tooOld(broker, QUEUE_OPTIONS, spec, `Cannot declare queue \`${spec.name}\``);
    if (refusal) return refusal;
  }
  return undefined;
}

/** The same for the options of a consumer. */
export function consumeRefusal(
  broker: BrokerIdentity | undefined,
  queue: string,
  options: { readonly [Option in keyof typeof CONSUME_OPTIONS]?: unknown },
): ChannelError | undefined {
  return tooOld(broker, CONSUME_OPTIONS, options, `Cannot consume from queue \`${queue}\``);
}

function tooOld(
  broker: BrokerIdentity | undefined,
  since: Readonly<Record<string, string>>,
  given: object,
  what: string,
): ChannelError | undefined {
  // Other products number their versions differently.
  if (broker?.product !== 'RabbitMQ') return undefined;
  for (const [option, version] of Object.entries(since)) {
    if (Reflect.get(given, option) === undefined || isRabbitMq(broker, version)) continue;
    return new ChannelError(
      `${what}: \`${option}\` needs RabbitMQ ${version} or later, and this broker is RabbitMQ ${broker.version}.`,
      { retryable: false },
    );
  }
  return undefined;
}
