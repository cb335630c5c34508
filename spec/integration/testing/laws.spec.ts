import { privateBroker } from '../../support/brokers/test-brokers';
import { fixture } from '../../support/fixtures/fixture';
import { administeringLaws } from '../../support/laws/administering';
import { consumingLaws } from '../../support/laws/consuming';
import { rabbitmq } from '../../support/laws/rabbitmq';
import { comparingLaws } from '../../support/laws/comparing';
import { delayingLaws } from '../../support/laws/delaying';
import { deadLetterLaws } from '../../support/laws/dead-letters';
import { deadLetterQueueLaws } from '../../support/laws/dead-letter-queues';
import { generationLaws } from '../../support/laws/generations';
import { queueingLaws } from '../../support/laws/queueing';
import { refusingLaws } from '../../support/laws/refusing';
import { sendingLaws } from '../../support/laws/sending';
import { streamingLaws } from '../../support/laws/streaming';
import { togetherLaws } from '../../support/laws/together';

// The memory broker obeys the same laws: spec/unit/testing/laws.spec.ts
describe('an InstanceQueue on a RabbitMQ', () => {
  afterEach(() => privateBroker().memoryAlarm(false));
  const given = fixture(async () => ({ broker: await rabbitmq() }));

  sendingLaws(given);
  consumingLaws(given);
  togetherLaws(given);
  administeringLaws(given);
  describe('a comparison', () => {
    comparingLaws(given);
  });
  queueingLaws(given);
  deadLetterLaws(given);
  delayingLaws(given);
  describe('a dead-letter queue', () => {
    deadLetterQueueLaws(given);
  });
  refusingLaws(given);
  generationLaws(given);
  describe('a stream', () => {
    streamingLaws(given);
  });
});
