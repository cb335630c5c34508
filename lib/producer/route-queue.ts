import { ensureQueue } from '../connection/ensure-queue';
import type { Logger } from '../log';
import { queueNamed, type Topology } from '../topology';
import type { PublishingChannel } from './publishing-channel';

/** Does the queue of a route have to be ensured before anything is sent to it on this channel? */
export const needsEnsuring = (publishing: PublishingChannel, queue: string | undefined): queue is string =>
  queue !== undefined && !publishing.ensured.has(queue) && !queue.startsWith('amq.');

/** Makes sure that the queue of a route is there, once per channel. Never rejects. */
export async function ensure(
  publishing: PublishingChannel,
  queue: string,
  topology: Topology,
  log: Logger,
): Promise<void> {
  publishing.ensuring = queue;
  const { link } = publishing;
  const spec = queueNamed(topology, queue);
  try {
    // An exclusive queue belongs to the connection that declares it first, and that must be its consumer's.
    await (spec?.exclusive === true ? undefined : spec ? link.declare({}, spec) : ensureQueue(link, queue));
  } catch (err) {
    // It may be there all the same: ours to use, not to declare (403), or another connection's (405). If it is not,
    // the message comes back.
    if (!link.lost) log.warn({ err, queue }, 'cannot ensure the queue of a route: trusted');
  }
  publishing.ensured.add(queue);
  publishing.ensuring = undefined;
}
