import { isRabbitMq } from '../../transport/broker-version';

/** The RabbitMQ that a broker in memory behaves like, unless it is given another version. */
export const LATEST = '4.3.0';

const isSince = (version: string, since: string): boolean => isRabbitMq({ product: 'RabbitMQ', version }, since);

/** https://www.rabbitmq.com/docs/quorum-queues#position-delivery-limit: by default there is a limit since 4.0. */
export const deliveryLimitOf = (version: string): number | undefined => (isSince(version, '4.0') ? 20 : undefined);

/** Since 4.3 a release (`basic.nack`) does not count as a failed delivery. */
export const releaseCounts = (version: string): boolean => !isSince(version, '4.3');

/**
 * How a quorum queue ranks a priority: since 4.3 as it is, up to 31; since 4.0 as high (above 4) or low; before that all alike.
 * https://www.rabbitmq.com/docs/quorum-queues#priorities
 */
export function quorumRank(version: string, priority = 4): number {
  if (isSince(version, '4.3')) return Math.min(priority, 31);
  return isSince(version, '4.0') && priority > 4 ? 1 : 0;
}

/** From 4.0 to 4.2 a quorum queue serves one message of the low rank after two of the high one. Since 4.3 ranks are strict. */
export const servesRanksInTurns = (version: string): boolean => isSince(version, '4.0') && !isSince(version, '4.3');

/** Since 4.3 the ages of a stream are compared, and shown, in ms: `7D` is `168h`. (4.0 compares their words.) */
export const comparesAges = (version: string): boolean => isSince(version, '4.3');

/**
 * Before 4.0 the consumer of a deleted queue is registered with one of the same name if there is one a moment later, and hears nothing
 * from it (`CancelNotice`). An argument that classic queues alone know prevents it.
 */
export const movesConsumers = (version: string): boolean => !isSince(version, '4.0');

/** The argument of a consumer that is never moved. Types that do not know it refuse it where it has a meaning. */
export const NEVER_MOVED = 'x-cancel-on-ha-failover';

/** How an exchange of an unknown type is refused: since 4.0 its channel is closed, before that the connection (seen on 3.10, 4.0 and 4.3). */
export const unknownTypeCode = (version: string): 406 | 503 => (isSince(version, '4.0') ? 406 : 503);
