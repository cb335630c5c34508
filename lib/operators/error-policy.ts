import { expected, oneOf } from '../options';
import type { Message, Settlement } from '../consumer/delivery';
import type { ErrorPolicy } from './handle-options';

/** What a policy known by its name says of a message whose work failed. */
export function namedSettlement(policy: Extract<ErrorPolicy<never>, string>, message: Message<unknown>): Settlement {
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

/** What a policy of the user's own returned: anything else would leave the delivery open for ever. @throws OptionsError */
export function decided(settlement: Settlement): Settlement {
  const wrong = settlementCheck(settlement);
  if (wrong !== undefined) throw expected('onError()', wrong, settlement);
  return settlement;
}
