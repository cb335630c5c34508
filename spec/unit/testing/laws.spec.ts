import { consumingLaws } from '../../support/laws/consuming';
import { sendingLaws } from '../../support/laws/sending';
import { togetherLaws } from '../../support/laws/together';
import { memoryWorld } from '../../support/memory-world';
import type { World } from '../../support/world';

// The same laws hold a RabbitMQ: spec/integration/testing/laws.spec.ts
let world: World;
beforeEach(() => {
  world = memoryWorld();
});
afterEach(() => world.end());

describe('the double of an InstanceQueue', () => {
  sendingLaws(() => world);
  consumingLaws(() => world);
  togetherLaws(() => world);
});
