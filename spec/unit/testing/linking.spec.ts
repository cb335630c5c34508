import { MemoryBroker } from 'instance-queue/testing';
import { Random } from '../../../lib/testing/simulation/random';
import { SimulatedTransport } from '../../../lib/testing/simulation/simulated-transport';
import { dialled, hangUp } from '../../support/dialled';
import { linkingLaws } from '../../support/laws/linking';
import { withoutWaiting } from '../../support/virtual-time';

withoutWaiting();
afterEach(hangUp);

// The same laws hold amqplib and a RabbitMQ: spec/integration/amqp/linking.spec.ts
describe.each([
  ['a link to a broker in memory', () => new MemoryBroker()],
  [
    'a link over a simulated network',
    () =>
      new MemoryBroker({
        transport: (host) => new SimulatedTransport(host, new Random(1), { least: 0.2, most: 6 }),
      }),
  ],
])('%s', (_name, create) => {
  let broker: MemoryBroker;
  beforeEach(() => {
    broker = create();
  });

  linkingLaws(() => dialled(broker.transport, 'amqp://in-memory'));
});
