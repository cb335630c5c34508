import type { QueueSpec } from '../../lib/topology';
import { exchangeArguments, queueArguments } from '../../lib/topology-arguments';

describe('what a queue is declared with', () => {
  it('is durable and nothing else by default', () => {
    expect(queueArguments({ name: 'q' })).toEqual({
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: {},
    });
  });

  it('is exclusive when the broker chooses the name', () => {
    expect(queueArguments({ name: '' })).toMatchObject({ exclusive: true });
    expect(queueArguments({ name: '', exclusive: false })).toMatchObject({ exclusive: false });
  });

  it('says each named option as RabbitMQ calls it, over what is given verbatim', () => {
    const declared = queueArguments({
      name: 'q',
      type: 'quorum',
      deadLetter: { exchange: 'dlx', routingKey: 'dead' },
      messageTtl: 0,
      expires: 1000,
      maxLength: 5,
      overflow: 'reject-publish',
      deliveryLimit: 3,
      singleActiveConsumer: true,
      maxPriority: 9,
      arguments: { 'x-queue-leader-locator': 'balanced', 'x-max-length': 99 },
    });
    expect(declared.arguments).toEqual({
      'x-queue-type': 'quorum',
      'x-dead-letter-exchange': 'dlx',
      'x-dead-letter-routing-key': 'dead',
      'x-message-ttl': 0,
      'x-expires': 1000,
      'x-max-length': 5,
      'x-overflow': 'reject-publish',
      'x-delivery-limit': 3,
      'x-single-active-consumer': true,
      'x-max-priority': 9,
      'x-queue-leader-locator': 'balanced',
    });
  });

  it.each<[QueueSpec, object]>([
    [
      {
        name: 'q',
        type: 'stream',
        maxLengthBytes: 9,
        maxAge: '7D',
        segmentSize: 8,
        leaderLocator: 'balanced',
        initialGroupSize: 3,
      },
      {
        'x-max-length-bytes': 9,
        'x-max-age': '7D',
        'x-stream-max-segment-size-bytes': 8,
        'x-queue-leader-locator': 'balanced',
        'x-initial-cluster-size': 3,
      },
    ],
    [{ name: 'q', type: 'stream', maxAge: 90_000 }, { 'x-max-age': '90s' }],
    [
      {
        name: 'q',
        type: 'quorum',
        initialGroupSize: 5,
        consumerTimeout: 7,
        deadLetterStrategy: 'at-most-once',
        delayedRetry: { min: 5 },
      },
      {
        'x-quorum-initial-group-size': 5,
        'x-consumer-timeout': 7,
        'x-dead-letter-strategy': 'at-most-once',
        'x-delayed-retry-type': 'failed',
        'x-delayed-retry-min': 5,
      },
    ],
    [
      { name: 'q', type: 'quorum', delayedRetry: { type: 'all', min: 5, max: 60 } },
      { 'x-delayed-retry-type': 'all', 'x-delayed-retry-min': 5, 'x-delayed-retry-max': 60 },
    ],
  ])('says what RabbitMQ 4 knows: %j', (spec, args) => {
    expect(queueArguments(spec).arguments).toEqual({ 'x-queue-type': spec.type, ...args });
  });

  it('dead-letters to a queue through the default exchange', () => {
    expect(queueArguments({ name: 'q', deadLetter: { queue: 'dead' } }).arguments).toEqual({
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'dead',
    });
  });

  it('keeps the routing key of a dead letter to an exchange alone', () => {
    expect(queueArguments({ name: 'q', deadLetter: { exchange: 'dlx' } }).arguments).toEqual({
      'x-dead-letter-exchange': 'dlx',
    });
  });
});

describe('what an exchange is declared with', () => {
  it('is durable, and neither internal nor auto-deleted by default', () => {
    expect(exchangeArguments({ name: 'e', type: 'topic' })).toEqual({
      type: 'topic',
      durable: true,
      autoDelete: false,
      internal: false,
      arguments: {},
    });
  });

  it('says the alternate exchange as RabbitMQ calls it, over what is given verbatim', () => {
    const spec = { name: 'e', type: 'direct', durable: false, autoDelete: true, internal: true } as const;
    const declared = exchangeArguments({
      ...spec,
      alternateExchange: 'other',
      arguments: { 'x-delayed-type': 'direct', 'alternate-exchange': 'ignored' },
    });
    expect(declared).toEqual({
      type: 'direct',
      durable: false,
      autoDelete: true,
      internal: true,
      arguments: { 'x-delayed-type': 'direct', 'alternate-exchange': 'other' },
    });
  });
});
