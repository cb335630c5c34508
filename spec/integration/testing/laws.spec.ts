import { consumingLaws } from '../../support/laws/consuming';
import { sendingLaws } from '../../support/laws/sending';
import { togetherLaws } from '../../support/laws/together';
import { rabbitmqWorld } from '../../support/rabbitmq-world';
import type { World } from '../../support/world';

// The same laws hold the double that users test with: spec/unit/testing/laws.spec.ts
let world: World;
beforeEach(async () => {
  world = await rabbitmqWorld();
});
afterEach(async () => {
  await world.unblock();
  await world.end();
});

describe('an InstanceQueue on a RabbitMQ', () => {
  sendingLaws(() => world);
  consumingLaws(() => world);
  togetherLaws(() => world);
});
