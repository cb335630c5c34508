import { amqpTransport } from '../../../lib/amqp/amqp-transport';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { dialled, hangUp } from '../../support/dialled';
import { linkingLaws } from '../../support/laws/linking';

// The same laws hold the broker in memory: spec/unit/testing/linking.spec.ts
afterEach(hangUp);

describe.each([true, false])('a link over amqplib to a RabbitMQ (wire: %s)', (wire) => {
  linkingLaws(() => dialled(amqpTransport, sharedBroker().url, { wire }));
});
