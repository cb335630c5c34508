import { channelRefused, connectFailed, connectionLost, isChannelLimit } from '../../../lib/transport/link-errors';

const NOT_ALLOWED = 530;

describe('a refusal that ends by itself is retryable, in the words of every generation of RabbitMQ', () => {
  it.each([
    "number of channels opened for user 'lim' has reached the maximum allowed user limit of (3)",
    "number of channels opened for user 'lim' has reached the maximum allowed user limit of 3",
    "number of channels opened on node 'rabbit@a' has reached the maximum allowed limit of (3)",
    "number of channels opened on node 'rabbit@a' has reached the maximum allowed limit of 3",
    'number of channels opened (3) has reached the negotiated channel_max (3)',
  ])('%s', (text) => {
    const refusal = { replyCode: NOT_ALLOWED, text: `NOT_ALLOWED - ${text}` };
    expect(channelRefused('Cannot open a channel', undefined, refusal)).toMatchObject({ retryable: true });
    const lost = connectionLost('host', undefined, refusal);
    expect(lost).toMatchObject({ retryable: true, replyCode: NOT_ALLOWED });
    expect(isChannelLimit(lost)).toBe(true);
  });

  it.each([
    "access to vhost '/' refused for user 'lim': connection limit (1) is reached",
    "connection refused for user 'lim': user connection limit (1) is reached",
    'connection refused: node connection limit (1) is reached',
    "access to vhost '/' refused for user 'lim': connection limit cannot be queried, timeout",
    "access to vhost 'v' refused for user 'lim': vhost 'v' is down",
  ])('%s', (text) => {
    const failed = connectFailed('host', undefined, { replyCode: NOT_ALLOWED, text: `NOT_ALLOWED - ${text}` });
    expect(failed).toMatchObject({ retryable: true });
    expect(failed.message).toContain(text);
  });

  it.each([
    "access to vhost 'v' refused for user 'lim'",
    'vhost v not found',
    "attempt to reuse consumer tag 'limit 5s'",
  ])('and no other: %s', (text) => {
    const failed = connectFailed('host', undefined, { replyCode: NOT_ALLOWED, text: `NOT_ALLOWED - ${text}` });
    expect(failed).toMatchObject({ retryable: false });
  });
});
