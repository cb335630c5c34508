import {
  channelRefused,
  connectFailed,
  connectionLost,
  isBrokerCrash,
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

describe('a connection that ends without a word of the broker', () => {
  it.each([
    ['ECONNRESET', 'the other side, or something in between, dropped it.'],
    ['EPIPE', 'the other side, or something in between, dropped it.'],
    ['ETIMEDOUT', 'the other side does not answer any more.'],
    ['EUNKNOWN', undefined],
  ])('is explained: %s', (code, sentence) => {
    const { message, retryable } = connectionLost('host', Object.assign(new Error('in its own words'), { code }));
    expect(message).toBe(
      `Lost the connection to host: ${sentence === undefined ? 'in its own words' : `${sentence} (${code})`}`,
    );
    expect(retryable).toBe(true);
  });

  it('after a silence says what may be the reason', () => {
    expect(connectionLost('host', new Error('Heartbeat timeout')).message).toBe(
      'Lost the connection to host: no heartbeat came for too long. Is the network down, or did this process stand still? (Heartbeat timeout)',
    );
  });
});

describe('a channel that is refused', () => {
  it('because the connection has no number left for it says what to do', () => {
    const cause = new Error('No channels left to allocate');
    const refused = channelRefused('Cannot open a channel', cause);
    expect(refused.message).toBe(
      'Cannot open a channel: No channels left to allocate. The connection has as many channels as `channel_max` allows (of its URL, or of the broker, where 2047 is the default). Each consumer and each producer takes one: close some, raise the limit, or use another connection.',
    );
    expect(channelRefused('Cannot open a channel', new Error('No channels left')).message).toBe(
      'Cannot open a channel: No channels left',
    );
  });

  it('says what the broker said, and keeps the cause', () => {
    const cause = new Error('closed');
    const refused = channelRefused('Cannot consume', cause, { replyCode: 403, text: 'ACCESS_REFUSED - no' });
    expect(refused).toMatchObject({ cause, replyCode: 403, retryable: false });
    expect(refused.message).toBe('Cannot consume: 403 ACCESS_REFUSED - no');
    expect(channelRefused('Cannot consume', refused)).toBe(refused);
  });

  it.each([
    ["RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'", 405, true],
    ["ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use", 403, true],
    ["ACCESS_REFUSED - access to queue 'q' refused for user 'u'", 403, false],
  ])('may be tried again if it passes: %s', (text, replyCode, retryable) => {
    expect(channelRefused('x', undefined, { replyCode, text }).retryable).toBe(retryable);
  });
});

describe('a refusal of the broker', () => {
  const lostWith = (replyCode: number, text: string) => connectionLost('host', undefined, { replyCode, text });

  it.each<[number, string, boolean]>([
    [541, 'INTERNAL_ERROR', true],
    [541, "INTERNAL_ERROR - Cannot declare a classic queue 'q'", false],
    [540, 'NOT_IMPLEMENTED', false],
    [506, '541 INTERNAL_ERROR', false],
  ])('is a crash in it if it gives no reason: %d %s: %p', (replyCode, text, crash) => {
    expect(isBrokerCrash(lostWith(replyCode, text))).toBe(crash);
  });

  it.each<[number, string, boolean]>([
    [530, 'NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)', true],
    [530, "NOT_ALLOWED - access to vhost 'v' refused", false],
    [504, 'number of channels opened', false],
  ])('is over the number of channels if it says so: %d %s: %p', (replyCode, text, limit) => {
    expect(isChannelLimit(lostWith(replyCode, text))).toBe(limit);
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

  it('explains the first failure of a host with several addresses, and gives its own words to any other', () => {
    const several = new AggregateError([Object.assign(new Error('a'), { code: 'ECONNREFUSED' }), new Error('b')]);
    expect(connectFailed('host', several).message).toBe(
      'Cannot connect to host: nothing listens there. Is RabbitMQ running, and is the port right? (ECONNREFUSED)',
    );
    for (const cause of [Object.assign(new Error('no idea'), { code: 'EUNKNOWN' }), new Error('no idea'), 'no idea'])
      expect(connectFailed('', cause).message).toBe('Cannot connect to RabbitMQ: no idea');
    const code = { replyCode: 320, text: 'CONNECTION_FORCED - no' };
    expect(connectFailed('host', new Error('no idea'), code)).toMatchObject({
      message: 'Cannot connect to host: no idea',
      replyCode: 320,
    });
    expect(connectFailed('other', connectFailed('host', 'x')).endpoint).toBe('host');
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
