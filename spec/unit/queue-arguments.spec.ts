import { queueArguments } from '../../lib/amqp/declare-topology';

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
