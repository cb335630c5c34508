import { fixture } from '../../support/fixtures/fixture';
import { partitionLaws } from '../../support/laws/partitions';
import { rabbitmq } from '../../support/laws/rabbitmq';

// The memory broker obeys the same laws: spec/unit/partitioned/partitioned.spec.ts
describe('a partitioned queue on a RabbitMQ', () => {
  partitionLaws(fixture(async () => ({ broker: await rabbitmq() })));
});
