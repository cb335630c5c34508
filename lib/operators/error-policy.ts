import { expected, oneOf } from '../options';
import { inWorkScope } from '../work-scope';
import type { Delivery, Message, Settlement } from '../consumer/delivery';

/**
 * How `handle` settles a message whose work failed.
 *
 * 'requeue-once': requeue, and reject when it fails again. 'requeue': requeue every time; a quorum queue drops or
 * dead-letters the message at its delivery limit (20 by default since RabbitMQ 4.0), other queues deliver it for ever.
 * 'reject': dead-letter it where the queue says so, or drop it. 'fail': requeue it and end the stream with the error. A
 * function decides case by case; if it throws, rejects or returns anything else, 'requeue-once' applies.
 */
export type ErrorPolicy<T> =
  | 'requeue-once'
  | 'requeue'
  | 'reject'
  | 'fail'
  | ((error: unknown, message: Message<T>) => Settlement | PromiseLike<Settlement>);

type NamedPolicy = Extract<ErrorPolicy<never>, string>;
type PolicyFunction<T> = Exclude<ErrorPolicy<T>, string>;

/** What a named policy decides about a message whose work failed. */
export function namedSettlement(policy: NamedPolicy, message: Message<unknown>): Settlement {
  switch (policy) {
    case 'requeue-once':
      return message.redelivered || message.deliveryCount > 0 ? 'reject' : 'requeue';
    case 'reject':
      return 'reject';
    case 'requeue':
    case 'fail':
      return 'requeue';
  }
}

const settlementCheck = oneOf('ack', 'requeue', 'release', 'reject');

/** Checks what the caller's policy returned: any other value would leave the delivery open for ever. @throws OptionsError */
export function decided(settlement: Settlement): Settlement {
  const wrong = settlementCheck(settlement);
  if (wrong !== undefined) throw expected('onError()', wrong, settlement);
  return settlement;
}

/** How a failed message is settled, and the error to report. */
export interface Verdict {
  readonly settlement: Settlement;
  readonly error: unknown;
}

/** Asks a policy that is a function. Never rejects: if the policy fails, 'requeue-once' decides. */
export async function judge<T>(policy: PolicyFunction<T>, error: unknown, message: Message<T>): Promise<Verdict> {
  try {
    return { settlement: decided(await inWorkScope(message, () => policy(error, message))), error };
  } catch (policyError) {
    const both = new AggregateError([error, policyError], 'The work failed, and so did the error policy (`onError`).');
    return { settlement: namedSettlement('requeue-once', message), error: both };
  }
}

/** Settles as decided. `false`: the delivery was settled before, or is lost. */
export function settleBy(delivery: Delivery<unknown>, how: Settlement): boolean {
  switch (how) {
    case 'ack':
      return delivery.ack();
    case 'requeue':
      return delivery.requeue();
    case 'release':
      return delivery.release();
    case 'reject':
      return delivery.reject();
  }
}
