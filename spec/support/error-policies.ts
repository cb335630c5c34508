import type { ErrorPolicy, InstanceQueue } from 'instance-queue';

/** Error policies under which a message that always fails ends, and how its deliveries are settled until then. */
export const POLICIES: readonly (readonly [
  name: string,
  policy: (client: InstanceQueue) => ErrorPolicy<unknown>,
  settlements: readonly string[],
])[] = [
  ['requeue-once', () => 'requeue-once', ['requeue', 'reject']],
  [
    'a function',
    () =>
      (_, { redelivered }) =>
        redelivered ? 'reject' : 'requeue',
    ['requeue', 'reject'],
  ],
  ['retry', (client) => client.retry({ attempts: 3, delay: 50 }), ['ack', 'ack', 'reject']],
  [
    'retry, then a route',
    (client) => client.retry({ attempts: 2, delay: 50, then: { queue: 'parked' } }),
    ['ack', 'ack'],
  ],
];
