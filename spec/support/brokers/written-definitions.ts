import type { Broker } from '../../../compose/broker';

/**
 * Has the broker write to disk what it confirms before it is there: its list of queues (RabbitMQ before 4.0), and which servers its
 * quorum queues have (3.10 to 4.3). A broker that is killed within half a second after a queue was made forgets them otherwise, and
 * with them the messages of a new quorum queue.
 */
export async function writtenDefinitions(broker: Pick<Broker, 'ctl'>): Promise<void> {
  await broker.ctl('eval', 'catch mnesia:sync_log(), [dets:sync(Table) || Table <- dets:all()].');
}
