import { runInNewContext } from 'node:vm';
import { connectFailed, connectionLost, channelRefused, replyCodeOf } from '../../../lib/amqp/amqp-errors';
import { ChannelError, ConnectionError } from '../../../lib/errors';

const HERE = 'broker:5672/shop';
/** Node's errors have a code. */
const system = (code: string, message: string): Error => Object.assign(new Error(message), { code });
/** amqplib's errors of a closed channel or connection have the reply code, as a number. */
const amqp = (code: number, message: string): Error => Object.assign(new Error(message), { code });

// As amqplib 2.3 says them, word for word.
const FORBIDDEN =
  'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile."';
const NO_VHOST =
  'Expected ConnectionOpenOk; got <ConnectionClose channel:0 fields:{"replyCode":530,"replyText":"NOT_ALLOWED - vhost shop not found","classId":10,"methodId":40}>';
const NO_QUEUE =
  "Operation failed: QueueDeclare; 404 (NOT-FOUND) with message \"NOT_FOUND - no queue 'orders' in vhost '/'\"";
const DIFFERS =
  "Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message \"PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'orders' in vhost '/': received 'true' but current is 'false'\"";
const TIMEOUT =
  'Channel closed by server: 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. This timeout value can be configured, see consumers doc guide to learn more"';
const FORCED =
  'Connection closed: 320 (CONNECTION-FORCED) with message "CONNECTION_FORCED - Closed via management plugin"';

describe('the reply code of an error', () => {
  it.each([
    [FORBIDDEN, 403],
    [NO_VHOST, 530],
    [NO_QUEUE, 404],
    [DIFFERS, 406],
    [TIMEOUT, 406],
    [FORCED, 320],
    ['Heartbeat timeout', undefined],
    ['Socket closed abruptly during opening handshake', undefined],
    ['message "NOT_FOUND - no queue \'404 (\'"', undefined],
  ])('is read from amqplib’s text: %s', (text, replyCode) => {
    expect(replyCodeOf(new Error(text))).toBe(replyCode);
  });

  it('is that of the error itself where it has one', () => {
    expect(replyCodeOf(amqp(320, 'whatever'))).toBe(320);
    expect(replyCodeOf(new ChannelError('x', { replyCode: 405 }))).toBe(405);
    expect(replyCodeOf(new ChannelError(FORBIDDEN))).toBeUndefined();
  });

  it('is no number that AMQP does not know, and no code of Node’s', () => {
    expect(replyCodeOf(amqp(1234, 'x'))).toBeUndefined();
    expect(replyCodeOf(system('ECONNREFUSED', 'x'))).toBeUndefined();
    expect(replyCodeOf('403 (')).toBeUndefined();
    expect(replyCodeOf(undefined)).toBeUndefined();
  });
});

describe('a connection that cannot be made', () => {
  it.each([
    ['wrong credentials', new Error(FORBIDDEN), 403, false, 'refused the credentials (403'],
    ['an unknown vhost', new Error(NO_VHOST), 530, false, 'refused the virtual host (530'],
    [
      'a port where nothing listens',
      system('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:5672'),
      undefined,
      true,
      'nothing listens there',
    ],
    ['an unknown host', system('ENOTFOUND', 'getaddrinfo ENOTFOUND broker'), undefined, true, 'host name is unknown'],
    ['DNS out of order', system('EAI_AGAIN', 'getaddrinfo EAI_AGAIN broker'), undefined, true, 'DNS does not answer'],
    [
      'TLS spoken to a plain port',
      system('ERR_SSL_WRONG_VERSION_NUMBER', 'ssl3_get_record'),
      undefined,
      true,
      'does not speak TLS',
    ],
    [
      'a self-signed certificate',
      system('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'),
      undefined,
      true,
      '`tls.ca`',
    ],
    ['an unknown CA', system('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify'), undefined, true, '`tls.ca`'],
    [
      'a certificate for another host',
      system('ERR_TLS_CERT_ALTNAME_INVALID', 'Hostname/IP'),
      undefined,
      true,
      '`tls.servername`',
    ],
    ['an expired certificate', system('CERT_HAS_EXPIRED', 'certificate has expired'), undefined, true, 'has expired'],
    [
      'a handshake cut off',
      new Error('Socket closed abruptly during opening handshake'),
      undefined,
      true,
      'Socket closed abruptly',
    ],
  ])('says what to mend: %s', (_name, cause, replyCode, retryable, sentence) => {
    const error = connectFailed(HERE, cause);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'CONNECT_FAILED', endpoint: HERE, retryable });
    expect(error.replyCode).toBe(replyCode);
    expect(error.message).toContain(`Cannot connect to ${HERE}: `);
    expect(error.message).toContain(sentence);
    expect(error.cause).toBe(cause);
  });

  it('says so for a host with several addresses, too', () => {
    const several = new AggregateError([system('ECONNREFUSED', 'a'), system('ETIMEDOUT', 'b')]);
    expect(connectFailed(HERE, several).message).toContain('nothing listens there');
  });

  it.each([
    ["Object.assign(new Error('x'), { code: 'ECONNREFUSED' })", 'nothing listens there'],
    ["new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })])", 'nothing listens there'],
    ["new Error('Handshake terminated by server: 403 (ACCESS-REFUSED)')", 'refused the credentials (403'],
    ["new Error('')", 'Cannot connect to broker:5672/shop: Error'],
  ])('knows an error of another realm for one: %s', (foreign, sentence) => {
    expect(connectFailed(HERE, runInNewContext(foreign)).message).toContain(sentence);
  });

  it('keeps an error that says it already', () => {
    const error = new ConnectionError('CONNECT_FAILED', HERE, 'No.');
    expect(connectFailed('', error)).toBe(error);
  });

  it('says what it can of a failure without an endpoint, and of one that is no Error', () => {
    expect(connectFailed('', new Error('discovery is down')).message).toBe(
      'Cannot connect to RabbitMQ: discovery is down',
    );
    expect(connectFailed('', 'why not').message).toBe('Cannot connect to RabbitMQ: why not');
  });
});

describe('what was up and is gone', () => {
  it('is a lost connection, with the broker’s code and the cause', () => {
    const cause = amqp(320, FORCED);
    const error = connectionLost(HERE, cause);
    expect(error).toMatchObject({ code: 'CONNECTION_LOST', endpoint: HERE, replyCode: 320, retryable: true });
    expect(error.cause).toBe(cause);
    expect(error.message).toBe(
      `Lost the connection to ${HERE}: the broker closed it: 320 CONNECTION_FORCED - Closed via management plugin`,
    );
  });

  it.each([
    ['a reset', system('ECONNRESET', 'read ECONNRESET'), 'something in between, dropped it. (ECONNRESET)'],
    ['silence', new Error('Heartbeat timeout'), 'did this process stand still? (Heartbeat timeout)'],
    ['anything else, in its own words', new Error('Unexpected close'), `${HERE}: Unexpected close`],
  ])('says of %s what it means', (_what, cause, words) => {
    expect(connectionLost(HERE, cause).message).toContain(words);
  });

  it('is a lost connection without any reason, too', () => {
    const error = connectionLost(HERE, undefined);
    expect(error.message).toBe(`Lost the connection to ${HERE}: the connection ended`);
    expect(error).not.toHaveProperty('replyCode');
  });
});

describe('a channel that was refused something', () => {
  it('tells the broker’s own sentence, and its code', () => {
    const error = channelRefused('Cannot check queue `orders`', new Error(NO_QUEUE));
    expect(error.message).toBe("Cannot check queue `orders`: 404 NOT_FOUND - no queue 'orders' in vhost '/'");
    expect(error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404, retryable: true });
  });

  it.each([
    [DIFFERS, 406, false],
    [TIMEOUT, 406, false],
    [
      'Operation failed: QueueDeclare; 405 (RESOURCE-LOCKED) with message "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue \'q\'"',
      405,
      true,
    ],
  ])('knows whether that can mend itself: %s', (text, replyCode, retryable) => {
    expect(channelRefused('x', new Error(text))).toMatchObject({ replyCode, retryable });
  });

  it('tells the broker’s own sentence also where it closed the whole connection', () => {
    const error = channelRefused('The channel ended with its connection', connectionLost(HERE, amqp(320, FORCED)));
    expect(error.message).toBe(
      'The channel ended with its connection: 320 CONNECTION_FORCED - Closed via management plugin',
    );
  });

  it('keeps an error that says it already', () => {
    const error = new ChannelError('x');
    expect(channelRefused('y', error)).toBe(error);
  });
});
