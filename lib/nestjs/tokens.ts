import { Inject } from '@nestjs/common';
import { InstanceQueue } from '../client/instance-queue';

/**
 * The token that an `InstanceQueue` is provided under: the class itself for the one without a name. For
 * `overrideProvider` in tests, and `inject` of factories.
 *
 * @example
 * Test.createTestingModule({ imports: [AppModule] }).overrideProvider(getInstanceQueueToken()).useValue(new FakeInstanceQueue());
 */
export const getInstanceQueueToken = (name?: string): typeof InstanceQueue | string =>
  name === undefined ? InstanceQueue : `InstanceQueue(${name})`;

/**
 * Injects the `InstanceQueue` of the module, or the one with the given name.
 *
 * @example
 * class OrdersService {
 *   constructor(@InjectInstanceQueue() private readonly queue: InstanceQueue) {}
 * }
 */
export const InjectInstanceQueue = (name?: string): ParameterDecorator & PropertyDecorator =>
  Inject(getInstanceQueueToken(name));
