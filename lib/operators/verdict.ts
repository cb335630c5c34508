import type { Delivery, Message, Settlement } from '../consumer/delivery';
import { decided, namedSettlement } from './error-policy';
import type { ErrorPolicy } from './handle-options';

/** What becomes of a message whose work failed, and which error is told. */
export interface Verdict {
  readonly settlement: Settlement;
  readonly error: unknown;
}

/** Judges a failure: at once by a named policy; one that is a function may take its time. Never throws, never rejects. */
export function judge<T>(policy: ErrorPolicy<T>, error: unknown, message: Message<T>): Verdict | Promise<Verdict> {
  if (typeof policy !== 'function') return { settlement: namedSettlement(policy, message), error };
  return judged(policy, error, message);
}

async function judged<T>(
  policy: Extract<ErrorPolicy<T>, (...args: never) => unknown>,
  error: unknown,
  message: Message<T>,
): Promise<Verdict> {
  try {
    return { settlement: decided(await policy(error, message)), error };
  } catch (policyError) {
    const both = new AggregateError([error, policyError], 'The work failed, and the error policy too.');
    return { settlement: namedSettlement('requeue-once', message), error: both };
  }
}

/** Carries a verdict out. `false`: the delivery is settled already, or lost. */
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
