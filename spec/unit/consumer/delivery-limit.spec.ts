import type { QueueSpec } from '../../../lib/topology';
import { DeliveryLimit } from '../../../lib/consumer/delivery-limit';

const failed = (times: number): { readonly 'x-delivery-count': number } => ({ 'x-delivery-count': times });

/** How often a warning is asked for when messages with these headers are requeued, on a broker with this limit. */
function warnings(
  headers: readonly (object | undefined)[],
  { limit = 20, spec }: { readonly limit?: number | undefined; readonly spec?: Omit<QueueSpec, 'name'> } = {},
): readonly object[] {
  const facts: object[] = [];
  const warnOnce = (_key: string, fact: object): void => void facts.push(fact);
  const counting = new DeliveryLimit(
    { warnOnce },
    'q',
    spec && { name: 'q', ...spec },
    limit === 0 ? undefined : limit,
  );
  for (const one of headers) counting.requeued(one as Record<string, unknown> | undefined);
  return facts;
}

describe('a message that is requeued again', () => {
  it('is warned of where the broker has a limit that the queue does not set', () => {
    expect(warnings([undefined, {}, failed(1)])).toEqual([{ queue: 'q', deliveryLimit: 20 }]);
    expect(warnings([failed(1)], { spec: { type: 'quorum' } })).toHaveLength(1);
  });

  it.each<[string, Parameters<typeof warnings>]>([
    ['that no queue counts', [[undefined, {}]]],
    ['on a broker without a limit', [[failed(1)], { limit: 0 }]],
    ['in a queue with a limit of its own', [[failed(1)], { spec: { deliveryLimit: 50 } }]],
    [
      'in a queue that delays retries, before the limit',
      [[failed(1), failed(19)], { spec: { delayedRetry: { min: 5 } } }],
    ],
  ])('is not warned of %s', (_name, given) => {
    expect(warnings(...given)).toEqual([]);
  });

  it('is warned of at the limit of a queue that delays retries', () => {
    expect(warnings([failed(20)], { spec: { delayedRetry: { min: 5 } } })).toHaveLength(1);
  });

  it('is warned of for each queue, in a sentence that says what to do', () => {
    const warnOnce = jest.fn();
    new DeliveryLimit({ warnOnce }, 'a queue', undefined, 20).requeued(failed(1));
    const facts = { queue: 'a queue', deliveryLimit: 20 };
    expect(warnOnce).toHaveBeenCalledWith(
      expect.stringContaining('a queue'),
      facts,
      expect.stringContaining('set `deliveryLimit`'),
    );
  });
});
