import { ChannelError } from '../errors';
import { queueNamed, type QueueSpec, type Topology } from '../topology';
import { queueArguments } from '../topology-arguments';
import type { Link } from '../transport/transport';
import type { ConnectionCore } from './connection-core';

/** Something to declare on: a link, or a channel. */
export type Declaring = Pick<Link, 'check' | 'declare'>;

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const [ACCESS_REFUSED, RESOURCE_LOCKED] = [403, 405];

/** A queue used by its name alone: as it is if it exists, else declared durable. Rejects: ChannelError. */
export async function ensureQueue(on: Declaring, name: string): Promise<void> {
  // A user without the permission to check is trusted.
  if ((await on.check(name)) === 'missing') await on.declare({}, { name });
}

/**
 * Makes sure of the queues that `topology` and `own` dead-letter to by name: a broker drops dead letters to a queue that
 * does not exist, and does not report it. A queue that `known` has a spec for is declared by that, any other as
 * `ensureQueue` does. Where a permission is missing this is logged once, and the setup goes on.
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
    // An exclusive queue belongs to the connection that declares it, which must be its consumer's.
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
    // Exclusive to another connection, and so it exists.
    if (error.replyCode === RESOURCE_LOCKED) return 'there';
    if (error.replyCode === ACCESS_REFUSED) return error;
    throw error;
  }
}

/** The queue that a queue dead-letters to over the default exchange, if its spec says so. */
function deadLetterQueue(spec: QueueSpec): string | undefined {
  if (spec.passive === true) return undefined;
  // Also out of arguments that were given verbatim.
  const { arguments: args } = queueArguments(spec);
  const name = args['x-dead-letter-routing-key'];
  const isQueue = args['x-dead-letter-exchange'] === '' && typeof name === 'string' && name !== '';
  // Names that begin like this are the broker's: direct reply-to, server-named queues.
  return isQueue && !name.startsWith('amq.') ? name : undefined;
}

/** Does the topology declare nothing? */
export const isEmpty = ({ exchanges, queues, bindings }: Topology): boolean =>
  !exchanges?.length && !queues?.length && !bindings?.length;
