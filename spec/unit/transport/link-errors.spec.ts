import {
  channelRefused,
  connectFailed,
  connectionLost,
  isChannelLimit,
  notAmqp,
} from '../../../lib/transport/link-errors';

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

describe('a connection that is lost', () => {
  it.each(['secret was refused', 'Secret update failed'])(
    'over renewed credentials (%s) says so, and may be tried again with others',
    (words) => {
      const text = `NOT_ALLOWED - ${words} by one of the backends`;
      const lost = connectionLost('host', undefined, { replyCode: NOT_ALLOWED, text });
      expect(lost).toMatchObject({ code: 'CREDENTIALS_FAILED', endpoint: 'host', replyCode: 530, retryable: true });
      expect(lost.message).toBe(`Lost the connection to host: the broker refused the renewed credentials: 530 ${text}`);
    },
  );

  it('over anything else says why, as far as that is known', () => {
    const closed = connectionLost('host', undefined, { replyCode: 320, text: 'CONNECTION_FORCED - shutdown' });
    expect(closed).toMatchObject({ code: 'CONNECTION_LOST', replyCode: 320 });
    expect(closed.message).toBe('Lost the connection to host: the broker closed it: 320 CONNECTION_FORCED - shutdown');
    expect(connectionLost('host', undefined).message).toBe('Lost the connection to host: the connection ended');
    expect(connectionLost('other', closed)).toBe(closed);
  });
});

describe('a connection that cannot be made', () => {
  it.each([
    ['TLS', 'Use an amqps:// URL'],
    ['HTTP', 'management port (15672 by default)'],
    ['SSH', 'This library speaks AMQP 0-9-1.'],
  ])('because something else answers (%s) says what to do', (protocol, advice) => {
    const cause = new Error('no AMQP');
    const failed = notAmqp('host:1', cause, protocol);
    expect(failed).toMatchObject({ code: 'CONNECT_FAILED', endpoint: 'host:1', cause });
    expect(failed.message).toContain(
      `Cannot connect to host:1: what answers there speaks ${protocol}, and not AMQP 0-9-1.`,
    );
    expect(failed.message).toContain(advice);
  });

  it.each([
    [403, 'ACCESS_REFUSED - no', 'refused the credentials (403 ACCESS_REFUSED)'],
    [530, "NOT_ALLOWED - vhost 'v' not found", 'refused the virtual host (530 NOT_ALLOWED'],
    [530, "NOT_ALLOWED - vhost 'v' is down", 'takes no connection for now (530 NOT_ALLOWED'],
  ])('says what the broker has refused: %i %s', (replyCode, text, sentence) => {
    expect(connectFailed('host', undefined, { replyCode, text }).message).toContain(`the broker ${sentence}`);
  });

  it.each([
    ['ECONNREFUSED', 'nothing listens there.'],
    ['ENOTFOUND', 'the host name is unknown.'],
    ['EAI_AGAIN', 'DNS does not answer for now.'],
    ['ECONNRESET', 'the other side dropped the connection. Is it RabbitMQ'],
    ['EPIPE', 'the other side dropped the connection.'],
    ['ETIMEDOUT', 'no answer. Is a firewall in between?'],
    ['EHOSTUNREACH', 'the host cannot be reached.'],
    ['ENETUNREACH', 'the network cannot be reached.'],
    ['EPROTO', 'no TLS handshake was possible.'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'the port does not speak TLS.'],
    ['CERT_HAS_EXPIRED', 'its certificate has expired.'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is self-signed.'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate comes from an unknown CA.'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate cannot be verified.'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'its certificate comes from an unknown CA.'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another host name.'],
  ])('explains %s', (code, sentence) => {
    const failed = connectFailed('host', Object.assign(new Error('x'), { code }));
    expect(failed.message).toContain(`Cannot connect to host: ${sentence}`);
    expect(failed.message).toContain(`(${code})`);
  });

  it('says what is wrong with the certificates of this side, and that trying again changes nothing', () => {
    const code = 'ERR_OSSL_X509_KEY_VALUES_MISMATCH';
    const failed = connectFailed('host', Object.assign(new Error('key values mismatch'), { code }));
    expect(failed.message).toContain('a certificate or key of `tls` cannot be used: key values mismatch');
    expect(failed.retryable).toBe(false);
    expect(connectFailed('host', Object.assign(new Error('x'), { code: 'ERR_SSL_BAD_RECORD_MAC' })).retryable).toBe(
      true,
    );
  });
});
