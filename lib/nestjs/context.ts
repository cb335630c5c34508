import type { Message } from '../consumer/delivery';

/**
 * What a method learns of its message beside the body: `@Ctx()` injects it, `getContext()` of an `ArgumentsHost` returns it.
 *
 * @example
 * class OrdersController {
 *   @EventPattern('order.placed')
 *   async ship(@Payload() order: Order, @Ctx() context: InstanceQueueContext): Promise<void> {
 *     await this.shipments.create(order, { signal: context.signal, id: context.getMessage().properties.messageId });
 *   }
 * }
 */
export class InstanceQueueContext {
  /** Is aborted when the result of the method cannot count any more: see `Worker`. */
  readonly signal: AbortSignal;
  readonly #message: Message<unknown>;
  readonly #pattern: string | undefined;

  constructor(message: Message<unknown>, signal: AbortSignal, pattern?: string) {
    this.#message = message;
    this.signal = signal;
    this.#pattern = pattern;
  }

  /** The message, with its properties. */
  getMessage(): Message<unknown> {
    return this.#message;
  }
  /** The pattern of a message that came over `InstanceQueueServer`, as a string. */
  getPattern(): string | undefined {
    return this.#pattern;
  }
  /** What Nest passes to enhancers that ask for positions: the message, the signal, the pattern. */
  getArgs(): readonly [message: Message<unknown>, signal: AbortSignal, pattern: string | undefined] {
    return [this.#message, this.signal, this.#pattern];
  }
}
