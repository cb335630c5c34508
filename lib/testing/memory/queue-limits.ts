import type { Arguments } from '../../properties';
import { deliveryLimitOf } from './generation';

/** What the arguments of a queue limit. Infinity: nothing. */
export interface Limits {
  /** ms without use. */
  readonly expires: number;
  readonly messageTtl: number;
  readonly maxPriority: number;
  readonly length: number;
  readonly bytes: number;
  /** A message that comes while it is full is rejected. */
  readonly rejects: boolean;
  /** Failed deliveries of a message. */
  readonly deliveries: number;
  readonly retry: { readonly min: number; readonly max: number; readonly type: unknown };
}

/** https://www.rabbitmq.com/docs/queues#optional-arguments */
export function limitsOf(args: Arguments, isQuorum: boolean, version: string): Limits {
  const numberOf = (name: string, absent: number): number => {
    const value = args[name];
    return typeof value === 'number' ? value : absent;
  };
  const overflow = args['x-overflow'];
  const deliveries = isQuorum ? numberOf('x-delivery-limit', deliveryLimitOf(version) ?? Infinity) : Infinity;
  const min = numberOf('x-delayed-retry-min', 0);
  return {
    expires: numberOf('x-expires', Infinity),
    messageTtl: numberOf('x-message-ttl', Infinity),
    maxPriority: numberOf('x-max-priority', 0),
    length: numberOf('x-max-length', Infinity),
    bytes: numberOf('x-max-length-bytes', Infinity),
    rejects: typeof overflow === 'string' && overflow.startsWith('reject-publish'),
    deliveries: deliveries < 0 ? Infinity : deliveries,
    retry: { min, max: numberOf('x-delayed-retry-max', min), type: args['x-delayed-retry-type'] },
  };
}
