import { OptionsError } from '../../lib/errors';
import { mergeTopologies, queueNamed, type QueueSpec, type Topology } from '../../lib/topology';
import { checkQueueSpec, checkRoute, checkTopology } from '../../lib/topology-checks';

/** Options as they come from untyped callers. */
const untyped = (given: object): QueueSpec & Topology => given as QueueSpec & Topology;

function refusalOf(action: () => void): Pick<OptionsError, 'option' | 'message'> {
  try {
    action();
  } catch (error) {
    if (error instanceof OptionsError) return error;
    throw error;
  }
  throw new Error('Expected a refusal.');
}

describe('a queue is refused that the broker would answer by closing a channel or a connection', () => {
  it.each<[string, object, string, string]>([
    ['without a name', {}, 'queue.name', 'a string of at most 255 bytes'],
    ['with a name too long', { name: 'x'.repeat(256) }, 'queue.name', 'got a string of 256 bytes'],
    ['with a line break in its name', { name: 'a\nb' }, 'queue.name', 'without line breaks'],
    ['of an unknown type', { name: 'q', type: 'mirrored' }, 'queue.type', "one of 'classic', 'quorum', 'stream'"],
    ['with an unknown option', { name: 'q', ttl: 5 }, 'queue.ttl', 'Unknown option'],
    ['transient and not exclusive', { name: 'q', durable: false }, 'queue.durable', 'needs `exclusive: true`'],
    ['quorum and transient', { name: 'q', type: 'quorum', durable: false }, 'queue.type', 'a quorum queue is durable'],
    ['quorum and exclusive', { name: 'q', type: 'quorum', exclusive: true }, 'queue.type', 'neither exclusive'],
    ['quorum and named by the broker', { name: '', type: 'quorum' }, 'queue.type', 'neither exclusive'],
    ['stream and autoDelete', { name: 'q', type: 'stream', autoDelete: true }, 'queue.type', 'a stream queue'],
    ['quorum with priorities', { name: 'q', type: 'quorum', maxPriority: 5 }, 'queue.type', 'several priorities'],
    ['checked without a name', { name: '', passive: true }, 'queue.passive', 'cannot be checked'],
    ['with a negative TTL', { name: 'q', messageTtl: -1 }, 'queue.messageTtl', 'an integer from 0'],
    ['with a delivery limit below none', { name: 'q', deliveryLimit: -2 }, 'queue.deliveryLimit', 'an integer from -1'],
    ['that expires at once', { name: 'q', expires: 0 }, 'queue.expires', 'an integer from 1'],
    [
      'with an argument name too long',
      { name: 'q', arguments: { ['x'.repeat(256)]: 1 } },
      'queue.arguments',
      'keys of at most 255',
    ],
    [
      'with an argument that AMQP cannot hold',
      { name: 'q', arguments: { 'x-a': [new Map()] } },
      'queue.arguments',
      'an object that AMQP can hold (`arguments.x-a[0]` is a Map, which a field table cannot hold)',
    ],
    [
      'classic with an age',
      { name: 'q', type: 'classic', maxAge: '7D' },
      'queue.maxAge',
      "needs `type: 'stream'`, and this is a classic queue",
    ],
    ['without a type and with an age', { name: 'q', maxAge: '7D' }, 'queue.maxAge', 'the spec names no type'],
    [
      'quorum with segments',
      { name: 'q', type: 'quorum', segmentSize: 5 },
      'queue.segmentSize',
      "needs `type: 'stream'`",
    ],
    [
      'a stream with a strategy',
      { name: 'q', type: 'stream', deadLetterStrategy: 'at-most-once' },
      'queue.deadLetterStrategy',
      "needs `type: 'quorum'`",
    ],
    [
      'classic with a timeout',
      { name: 'q', type: 'classic', consumerTimeout: 5 },
      'queue.consumerTimeout',
      "needs `type: 'quorum'`",
    ],
    [
      'classic with a delay',
      { name: 'q', type: 'classic', delayedRetry: { min: 1 } },
      'queue.delayedRetry',
      "needs `type: 'quorum'`",
    ],
    [
      'classic with a group',
      { name: 'q', type: 'classic', initialGroupSize: 3 },
      'queue.initialGroupSize',
      "needs `type: 'quorum'` or `type: 'stream'`",
    ],
    [
      'of a type among its arguments',
      { name: 'q', arguments: { 'x-queue-type': 'quorum' }, maxAge: '1h' },
      'queue.maxAge',
      'this is a quorum queue',
    ],
    [
      'with an age of no unit',
      { name: 'q', type: 'stream', maxAge: '7' },
      'queue.maxAge',
      'a whole number and one of Y, M, D, h, m and s',
    ],
    [
      'with an age of no whole seconds',
      { name: 'q', type: 'stream', maxAge: 1500 },
      'queue.maxAge',
      'ms in whole seconds',
    ],
    [
      'with a segment beyond 3 GB',
      { name: 'q', type: 'stream', segmentSize: 3_000_000_001 },
      'queue.segmentSize',
      'to 3000000000',
    ],
    [
      'with a leader anywhere',
      { name: 'q', leaderLocator: 'random' },
      'queue.leaderLocator',
      "one of 'client-local', 'balanced'",
    ],
    ['in a group of none', { name: 'q', type: 'quorum', initialGroupSize: 0 }, 'queue.initialGroupSize', 'from 1'],
    [
      'with a delay of no length',
      { name: 'q', type: 'quorum', delayedRetry: {} },
      'queue.delayedRetry.min',
      'got nothing',
    ],
    ['with a delay of 0', { name: 'q', type: 'quorum', delayedRetry: { min: 0 } }, 'queue.delayedRetry.min', 'from 1'],
    [
      'with a delay that shrinks',
      { name: 'q', type: 'quorum', delayedRetry: { min: 5, max: 4 } },
      'queue.delayedRetry.max',
      'at least `min` (5), got `4`',
    ],
    [
      'with a delay of an unknown type',
      { name: 'q', type: 'quorum', delayedRetry: { min: 5, type: 'disabled' } },
      'queue.delayedRetry.type',
      "one of 'failed', 'returned', 'all'",
    ],
    [
      'at least once to nowhere',
      { name: 'q', type: 'quorum', deadLetterStrategy: 'at-least-once', overflow: 'reject-publish' },
      'queue.deadLetterStrategy',
      'needs a `deadLetter`',
    ],
    [
      'at least once, and dropping',
      { name: 'q', type: 'quorum', deadLetterStrategy: 'at-least-once', deadLetter: { queue: 'd' } },
      'queue.deadLetterStrategy',
      "needs `overflow: 'reject-publish'`",
    ],
    [
      'quorum with an overflow of classic queues',
      { name: 'q', type: 'quorum', overflow: 'reject-publish-dlx' },
      'queue.overflow',
      "Use 'reject-publish'",
    ],
    ['with 256 priorities', { name: 'q', maxPriority: 256 }, 'queue.maxPriority', 'from 1 to 255'],
    ['with a dead letter to nowhere', { name: 'q', deadLetter: {} }, 'queue.deadLetter', 'got neither'],
    [
      'with two dead letter routes',
      { name: 'q', deadLetter: { queue: 'a', exchange: 'b' } },
      'queue.deadLetter',
      'got both',
    ],
  ])('%s', (_name, spec, option, sentence) => {
    const error = refusalOf(() => checkQueueSpec(untyped(spec), 'queue'));
    expect(error.option).toBe(option);
    expect(error.message).toContain(sentence);
  });

  it.each<[object]>([
    [{ name: 'q' }],
    [{ name: '' }],
    [{ name: 'q', durable: false, exclusive: true }],
    [{ name: '', durable: false }],
    [{ name: 'q', type: 'quorum', deliveryLimit: 3, deadLetter: { exchange: 'dlx', routingKey: 'k' } }],
    [{ name: 'q', type: 'quorum', deliveryLimit: -1 }],
    [{ name: 'q', type: 'stream', maxAge: '7D', maxLengthBytes: 50_000_000_000, segmentSize: 3_000_000_000 }],
    [{ name: 'q', type: 'stream', maxAge: 60_000, initialGroupSize: 3, leaderLocator: 'balanced' }],
    [
      {
        name: 'q',
        type: 'quorum',
        initialGroupSize: 5,
        consumerTimeout: 60_000,
        delayedRetry: { type: 'all', min: 1, max: 1 },
      },
    ],
    [
      {
        name: 'q',
        type: 'quorum',
        deadLetterStrategy: 'at-least-once',
        deadLetter: { queue: 'd' },
        overflow: 'reject-publish',
      },
    ],
    [{ name: 'q', maxLengthBytes: 0, leaderLocator: 'client-local' }],
    [{ name: 'q', type: 'stream', maxLength: 0, arguments: { 'x-max-age': '1h' } }],
  ])('and not any other: %j', (spec) => {
    expect(() => checkQueueSpec(untyped(spec), 'queue')).not.toThrow();
  });
});

describe('a route', () => {
  it.each<[unknown, string, string]>([
    ['orders', 'to', 'a route: { queue } or { exchange, routingKey }, got `orders`'],
    [{}, 'to', 'got neither'],
    [{ queue: 'a', exchange: 'b' }, 'to', 'got both'],
    [{ queue: 'a', routingKey: 'k' }, 'to', 'Expected no `routingKey` beside `to.queue`'],
    [{ exchange: 'a', routingKey: 'k'.repeat(256) }, 'to.routingKey', 'at most 255 bytes'],
    [{ exchange: 5 }, 'to.exchange', 'got `5` (number)'],
    [{ queue: 'a\r' }, 'to.queue', 'without line breaks'],
    [{ queue: '' }, 'to.queue', 'Expected `to.queue` to be the name of a queue, got ``'],
  ])('is exactly one: not %j', (route, option, sentence) => {
    const error = refusalOf(() => checkRoute(route, 'to'));
    expect(error.option).toBe(option);
    expect(error.message).toContain(sentence);
  });

  it.each([
    [{ queue: 'a' }],
    [{ exchange: 'a' }],
    [{ exchange: 'a', routingKey: '' }],
    [{ exchange: '', routingKey: 'q' }],
    [{ exchange: 'a', routingKey: 'k\n' }],
  ])('is fine: %j', (route) => {
    expect(() => checkRoute(route, 'to')).not.toThrow();
  });
});

describe('a topology', () => {
  it.each<[object, string, string]>([
    [{ queue: [] }, 'topology.queue', 'Did you mean `queues`?'],
    [{ queues: {} }, 'topology.queues', 'an array'],
    [{ queues: [{ name: 'a' }, { name: 'b', durable: 'no' }] }, 'topology.queues[1].durable', 'true or false'],
    [{ exchanges: [{ name: 'e' }] }, 'topology.exchanges[0].type', 'a string, got nothing'],
    [{ exchanges: [{ name: 'e\n', type: 'topic' }] }, 'topology.exchanges[0].name', 'without line breaks'],
    [{ bindings: [{ exchange: 'e', queue: 'a\nb' }] }, 'topology.bindings[0].queue', 'without line breaks'],
    [
      { exchanges: [{ name: 'e', type: 'topic', alternate: 'x' }] },
      'topology.exchanges[0].alternate',
      'Unknown option',
    ],
    [{ bindings: [{ queue: 'q' }] }, 'topology.bindings[0].exchange', 'got nothing'],
    [{ bindings: [{ exchange: 'e' }] }, 'topology.bindings[0]', 'either a `queue` or `toExchange`'],
    [
      { bindings: [{ exchange: 'e', queue: 'q', toExchange: 'f' }] },
      'topology.bindings[0]',
      'either a `queue` or `toExchange`',
    ],
  ])('with a wrong entry is refused, and the entry named: %j', (topology, option, sentence) => {
    const error = refusalOf(() => checkTopology(untyped(topology)));
    expect(error.option).toBe(option);
    expect(error.message).toContain(sentence);
  });

  it('may be empty, or whole', () => {
    expect(() => checkTopology({})).not.toThrow();
    expect(() =>
      checkTopology({
        exchanges: [{ name: 'e', type: 'x-delayed-message', arguments: { 'x-delayed-type': 'direct' } }],
        queues: [{ name: 'q', type: 'quorum' }],
        bindings: [
          { exchange: 'e', queue: 'q', routingKey: 'k' },
          { exchange: 'e', toExchange: 'f' },
        ],
      }),
    ).not.toThrow();
  });

  it('has its queues found by name', () => {
    expect(queueNamed({ queues: [{ name: 'a' }, { name: 'b', type: 'quorum' }] }, 'b')).toEqual({
      name: 'b',
      type: 'quorum',
    });
    expect(queueNamed({}, 'b')).toBeUndefined();
    expect(queueNamed(undefined, 'b')).toBeUndefined();
  });

  it('merged with another keeps its own entries, and has the other’s besides', () => {
    const own: Topology = { queues: [{ name: 'a', type: 'quorum' }], bindings: [{ exchange: 'e', queue: 'a' }] };
    const other: Topology = {
      exchanges: [{ name: 'e', type: 'topic' }],
      queues: [{ name: 'a' }, { name: 'b' }],
      bindings: [{ exchange: 'e', queue: 'b' }],
    };
    expect(mergeTopologies(own, other)).toEqual({
      exchanges: [{ name: 'e', type: 'topic' }],
      queues: [{ name: 'a', type: 'quorum' }, { name: 'b' }],
      bindings: [
        { exchange: 'e', queue: 'a' },
        { exchange: 'e', queue: 'b' },
      ],
    });
  });
});
