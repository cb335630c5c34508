import { Connection, OptionsError, type BackoffOptions, type ConnectionOptions, type LogEntry } from 'instance-queue';
import { backoff, drainTimeoutOf } from '../../../lib/connection/connection-options';
import { DEFAULTS } from '../../../lib/options';
import { closeAll, closing } from '../../support/closing';
import { until } from '../../support/waiting';

const url = 'amqp://localhost';

describe.each(['reconnect', 'reopen'] as const)('the option `%s`', (path) => {
  it.each<[keyof BackoffOptions, unknown]>([
    ['min', -1],
    ['max', '1 s'],
    ['factor', 0.5],
    ['factor', 101],
    ['jitter', 1.5],
    ['attempts', -1],
    ['attempts', 1.5],
    ['initialAttempts', 0],
    ['stableAfter', NaN],
  ])('with a wrong `%s` is refused by name: %p', (name, wrong) => {
    const connect = (): Connection => new Connection({ url, [path]: { [name]: wrong } });
    expect(connect).toThrow(OptionsError);
    expect(connect).toThrow(`\`${path}.${name}\``);
  });

  it('with an unknown member is refused', () => {
    const connect = (): Connection => new Connection({ url, [path]: { maximum: 5 } });
    expect(connect).toThrow(`Unknown option \`${path}.maximum\` for \`${path}\``);
  });

  it('has all defaults where it says nothing', () => {
    const { attempts } = DEFAULTS[path];
    const all = { ...DEFAULTS[path], initialAttempts: Math.max(1, attempts) };
    expect(backoff(undefined, DEFAULTS[path], path)).toMatchObject(all);
    expect(backoff({ factor: 5 }, DEFAULTS[path], path)).toEqual({
      ...backoff(undefined, DEFAULTS[path], path),
      factor: 5,
    });
  });

  it('has a `max` of at least `min`, and as many first attempts as it has later ones, unless it says so', () => {
    const given = { min: 90_000, max: 5, attempts: 0 };
    expect(backoff(given, DEFAULTS[path], path)).toMatchObject({ min: 90_000, max: 90_000, initialAttempts: 1 });
    expect(backoff({ attempts: 7 }, DEFAULTS[path], path)).toMatchObject({ initialAttempts: 7 });
    expect(backoff({ attempts: 7, initialAttempts: 2 }, DEFAULTS[path], path)).toMatchObject({ initialAttempts: 2 });
  });
});

describe('the options of a connection', () => {
  it('may be its URL alone', () => {
    expect(new Connection(url).state).toEqual({ status: 'disconnected' });
    expect(() => new Connection('http://localhost')).toThrow(/`url`/);
  });

  it.each<[object, RegExp]>([
    [{}, /Expected `url` to be .*, got nothing/],
    [{ url, heart: 5 }, /Unknown option `heart` for a connection/],
    [{ url, drainTimeout: -1 }, /`drainTimeout`/],
    [{ url, connectTimeout: 0 }, /`connectTimeout`/],
    [{ url, heartbeat: 601 }, /`heartbeat`/],
    [{ url, authErrors: 'never' }, /`authErrors`/],
    [{ url, wire: 'yes' }, /`wire`/],
    [{ url, name: 5 }, /`name`/],
    [{ url, credentials: { username: 'a', password: 'b' } }, /`credentials`/],
    [{ url, reconnect: 5 }, /`reconnect`/],
  ])('are refused where they cannot be right: %j', (options, sentence) => {
    expect(() => new Connection(options as ConnectionOptions)).toThrow(sentence);
    expect(() => new Connection(options as ConnectionOptions)).toThrow(OptionsError);
  });
});

describe('the drain timeout of a close', () => {
  it('is what `close` was called with, or else what its owner has', () => {
    expect([drainTimeoutOf(undefined, 5), drainTimeoutOf({}, 5), drainTimeoutOf({ drainTimeout: 0 }, 5)]).toEqual([
      5, 5, 0,
    ]);
    expect(() => drainTimeoutOf({ drainTimeout: -1 }, 5)).toThrow(/`drainTimeout`/);
  });
});

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

describe('the option `tls`', () => {
  afterEach(closeAll);
  const given = (tls: object): Connection => new Connection({ url: 'amqps://localhost', tls });

  it.each([
    ['ca', '/etc/ssl/ca.pem'],
    ['ca', ['/etc/ssl/ca.pem']],
    ['ca', [pem, '/etc/ssl/ca.pem']],
    ['ca', Buffer.from([0x30, 0x82, 1, 1])],
    ['ca', 5],
    ['cert', './client.pem'],
    ['key', './client.key'],
    ['key', [{ pem: './client.key', passphrase: 'hush' }]],
  ])('with the name of a file, or something else that is not PEM, is refused: %s %j', (name, value) => {
    expect(() => given({ [name]: value })).toThrow(OptionsError);
    expect(() => given({ [name]: value })).toThrow(
      `with \`${name}\` in PEM (the content of its file, and not its name)`,
    );
    expect(() => given({ [name]: value })).not.toThrow(/hush/);
  });

  it.each([
    [{}],
    [{ ca: pem, cert: Buffer.from(pem), key: [{ pem, passphrase: 'hush' }] }],
    [{ ca: [pem, new TextEncoder().encode(pem)] }],
    [{ ca: undefined, cert: '', key: null }],
    [{ servername: 'localhost', rejectUnauthorized: false }],
  ])('takes what Node does: %j', (tls) => {
    expect(given(tls).state).toEqual({ status: 'disconnected' });
  });

  it.each<[ConnectionOptions['url'], number]>([
    ['amqp://localhost', 1],
    [['amqp://a', 'amqp://b'], 1],
    ['amqps://localhost', 0],
    [['amqp://a', 'amqps://b'], 0],
    [() => 'amqp://localhost', 0],
  ])('is warned of where it has no effect, because no URL begins with amqps: %s', (target, warnings) => {
    const lines: LogEntry[] = [];
    new Connection({ url: target, tls: { ca: pem }, logger: (line) => lines.push(line) });
    expect(lines).toHaveLength(warnings);
    new Connection({ url: target, logger: (line) => lines.push(line) });
    expect(lines).toHaveLength(warnings);
  });

  it('with a certificate that Node cannot read ends the first connect, where it would fail for ever', async () => {
    const connection = closing(given({ cert: pem, key: pem }));
    connection.connect().catch(() => undefined);
    const { status, ...state } = await until(
      connection.state$,
      (one) => !['disconnected', 'connecting'].includes(one.status),
    );
    expect(status).toBe('closed');
    expect(state).toMatchObject({ cause: { message: expect.stringContaining('of `tls` cannot be used') as string } });
  });
});
