import { declare, ensureQueue } from '../amqp/declare';
import type { Logger } from '../log';
import { queueNamed, type Topology } from '../topology';
import type { Session } from './publishing-channel';

/** Does the queue of a route have to be ensured before anything is sent to it on this channel? */
export const needsEnsuring = (session: Session, queue: string | undefined): queue is string =>
  queue !== undefined && !session.ensured.has(queue) && !queue.startsWith('amq.');

/** Makes sure that the queue of a route is there, once per channel. Never rejects. */
export async function ensure(session: Session, queue: string, topology: Topology, log: Logger): Promise<void> {
  session.ensuring = queue;
  const { link } = session.open;
  const spec = queueNamed(topology, queue);
  try {
    // An exclusive queue belongs to the connection that declares it first, and that must be its consumer's.
    await (spec?.exclusive === true ? undefined : spec ? declare(link, {}, spec) : ensureQueue(link, queue));
  } catch (err) {
    // It may be there all the same: ours to use, not to declare (403), or another connection's (405). If it is not,
    // the message comes back.
    if (!link.lost) log.warn({ err, queue }, 'cannot ensure the queue of a route: trusted');
  }
  session.ensured.add(queue);
  session.ensuring = undefined;
}
