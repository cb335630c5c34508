import { MemoryBroker } from 'instance-queue/testing';
import { dialled, hangUp } from '../../support/dialled';
import { linkingLaws } from '../../support/laws/linking';

// The same laws hold amqplib and a RabbitMQ: spec/integration/amqp/linking.spec.ts
let broker: MemoryBroker;
beforeEach(() => {
  broker = new MemoryBroker();
});
afterEach(hangUp);

describe('a link to a broker in memory', () => {
  linkingLaws(() => dialled(broker.transport, 'amqp://in-memory'));
});
