import { fixture } from '../../support/fixtures/fixture';
import { memoryBroker } from '../../support/laws/memory-broker';
import { partitionLaws } from '../../support/laws/partitions';

// A RabbitMQ obeys the same laws: spec/integration/partitioned/partitioned.spec.ts
describe('a partitioned queue of the double', () => {
  partitionLaws(fixture(() => ({ broker: memoryBroker() })));
});
