import { fixture } from '../../support/fixtures/fixture';
import { administeringLaws } from '../../support/laws/administering';
import { consumingLaws } from '../../support/laws/consuming';
import { memoryBroker, simulatedBroker } from '../../support/laws/memory-broker';
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
import { withoutWaiting } from '../../support/virtual-time';

withoutWaiting();

// A RabbitMQ obeys the same laws: spec/integration/testing/laws.spec.ts
describe.each([
  ['the double of an InstanceQueue', memoryBroker],
  ['a simulated RabbitMQ 3.10', () => simulatedBroker('3.10.0')],
  ['a simulated RabbitMQ 4.0', () => simulatedBroker('4.0.0')],
  ['a simulated RabbitMQ 4.3', () => simulatedBroker('4.3.0')],
])('%s', (_name, broker) => {
  const given = fixture(() => ({ broker: broker() }));

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
