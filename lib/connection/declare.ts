import { ChannelError } from '../errors';
import { queueNamed, type QueueSpec, type Topology } from '../topology';
import { queueArguments } from '../topology-arguments';
import type { Link } from '../transport/transport';
import type { ConnectionCore } from './connection-core';

/** A link or a channel, on which queues can be declared. */
export type Declaring = Pick<Link, 'check' | 'declare'>;

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const [ACCESS_REFUSED, RESOURCE_LOCKED] = [403, 405];

/** Declares a queue that is used by its name alone, durable, unless it exists. Rejects: ChannelError. */
export async function ensureQueue(on: Declaring, name: string): Promise<void> {
  // Without the permission to check, the queue is assumed to exist.
  if ((await on.check(name)) === 'missing') await on.declare({}, { name });
}

/**
 * Ensures the queues that `topology` and `own` dead-letter to by name: a broker drops dead letters to a missing queue without a
 * report. A queue with a spec in `known` is declared by it, any other one as in `ensureQueue`. A missing permission is logged
 * once, and the setup continues.
 * Rejects: ChannelError, for any other refusal.
 */
export async function ensureDeadLetterQueues(
  core: Pick<ConnectionCore, 'warnOnce'>,
  on: Declaring,
  topology: Topology,
  own?: QueueSpec,
  known: Topology = topology,
): Promise<void> {
  const declared = [...(topology.queues ?? []), ...(own ? [own] : [])];
  const visited = new Set(declared.map(({ name }) => name));
  const ensure = async (source: QueueSpec): Promise<void> => {
    const name = deadLetterQueue(source);
    if (name === undefined || visited.has(name)) return;
    visited.add(name);
    const spec = queueNamed(known, name);
    // An exclusive queue belongs to the connection that declares it, which must be that of its consumer.
    if (spec?.exclusive !== true) {
      const outcome = await present(on, name, spec);
      if (outcome !== 'there') {
        core.warnOnce(
          `dead-letter ${name}`,
          { queue: source.name, deadLetterQueue: name, ...(outcome !== 'hidden' && { err: outcome }) },
          'cannot make sure that the queue for dead letters exists: without it the broker drops them',
        );
      }
    }
    if (spec) await ensure(spec);
  };
  for (const source of declared) await ensure(source);
}

/** Rejects: ChannelError, except for a missing permission, which it returns. */
async function present(
  on: Declaring,
  name: string,
  spec: QueueSpec | undefined,
): Promise<'there' | 'hidden' | ChannelError> {
  try {
    const presence = spec ? 'missing' : await on.check(name);
    if (presence === 'missing') await on.declare({}, spec ?? { name });
    return presence === 'hidden' ? presence : 'there';
  } catch (error) {
    if (!(error instanceof ChannelError)) throw error;
    // It is exclusive to another connection, so it exists.
    if (error.replyCode === RESOURCE_LOCKED) return 'there';
    if (error.replyCode === ACCESS_REFUSED) return error;
    throw error;
  }
}

/** The queue that a queue dead-letters to over the default exchange, if its spec says so. */
function deadLetterQueue(spec: QueueSpec): string | undefined {
  if (spec.passive === true) return undefined;
  // Also from verbatim arguments.
  const { arguments: args } = queueArguments(spec);
  const name = args['x-dead-letter-routing-key'];
  const isQueue = args['x-dead-letter-exchange'] === '' && typeof name === 'string' && name !== '';
  // Names with this prefix belong to the broker: direct reply-to, server-named queues.
  return isQueue && !name.startsWith('amq.') ? name : undefined;
}

/** Does the topology declare nothing? */
export const isEmpty = ({ exchanges, queues, bindings }: Topology): boolean =>
  !exchanges?.length && !queues?.length && !bindings?.length;
