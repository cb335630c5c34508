import { isRabbitMq } from '../../transport/broker-version';

/** The RabbitMQ that a broker in memory behaves like, unless it is given another version. */
export const LATEST = '4.3.0';

const isSince = (version: string, since: string): boolean => isRabbitMq({ product: 'RabbitMQ', version }, since);

/** https://www.rabbitmq.com/docs/quorum-queues#position-delivery-limit: by default there is a limit since 4.0. */
export const deliveryLimitOf = (version: string): number | undefined => (isSince(version, '4.0') ? 20 : undefined);

/** Since 4.3 a release (`basic.nack`) does not count as a failed delivery. */
export const releaseCounts = (version: string): boolean => !isSince(version, '4.3');
