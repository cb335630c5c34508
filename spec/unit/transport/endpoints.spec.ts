import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { endpointSource, parseEndpoint, parseEndpoints, shuffled } from '../../../lib/transport/endpoints';
import { OptionsError } from '../../../lib/errors';

const folder = mkdtempSync(join(tmpdir(), 'instance-queue-pem-'));
const pemFile = join(folder, 'file.pem');
writeFileSync(pemFile, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n');
const derFile = join(folder, 'file.der');
writeFileSync(derFile, Buffer.from([0x30, 0x82, 1, 1]));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function refusalOf(action: () => unknown): OptionsError {
  try {
    action();
  } catch (error) {
    if (error instanceof OptionsError) return error;
    throw error;
  }
  throw new Error('Expected a refusal.');
}

describe('an AMQP URL', () => {
  it('gives all it says', () => {
    expect(
      parseEndpoint(
        'amqps://us%40er:p%2Fw%3A@broker.example:1234/shop%2F1?heartbeat=7&frameMax=8192&channelMax=3&locale=de_DE',
      ),
    ).toEqual({
      label: 'broker.example:1234/shop/1',
      protocol: 'amqps',
      hostname: 'broker.example',
      port: 1234,
      username: 'us@er',
      password: 'p/w:',
      vhost: 'shop/1',
      external: false,
      heartbeat: 7,
      frameMax: 8192,
      channelMax: 3,
      locale: 'de_DE',
    });
  });

  it.each([
    ['amqp://localhost', { port: 5672, username: 'guest', password: 'guest', vhost: '/', label: 'localhost:5672/' }],
    ['amqps://localhost', { port: 5671, label: 'localhost:5671/' }],
    ['amqp://localhost/', { vhost: '/' }],
    ['amqp://localhost/%2F', { vhost: '/', label: 'localhost:5672/' }],
    ['amqp://localhost/shop', { vhost: 'shop', label: 'localhost:5672/shop' }],
    ['amqp://alice@localhost', { username: 'alice', password: '' }],
    ['amqp://:secret@localhost', { username: '', password: 'secret' }],
    ['amqp://[::1]:1234/v', { hostname: '::1', port: 1234, label: '[::1]:1234/v' }],
    ['amqp://[::1]', { hostname: '::1', port: 5672, label: '[::1]:5672/' }],
    ['amqps://localhost?auth_mechanism=EXTERNAL', { external: true }],
    ['amqp://localhost?auth_mechanism=plain', { external: false }],
    ['amqp://localhost?heartbeat=0', { heartbeat: 0 }],
    ['amqp://localhost?heartbeat=600', { heartbeat: 600 }],
    ['amqp://localhost?frame_max=0', { frameMax: 0 }],
    ['amqp://localhost?frame_max=4096', { frameMax: 4096 }],
    ['amqp://localhost?auth_mechanism=external&auth_mechanism=plain', { external: true }],
    [
      'amqp://localhost?heartbeat=5&connection_timeout=10000&channel_max=7&frame_max=8192',
      { heartbeat: 5, connectTimeout: 10_000, channelMax: 7, frameMax: 8192 },
    ],
    [
      'amqps://localhost?verify=verify_peer&server_name_indication=other.example&password=a%20b',
      { tls: { rejectUnauthorized: true, servername: 'other.example', passphrase: 'a b' } },
    ],
    ['amqps://localhost?verify=verify_none', { tls: { rejectUnauthorized: false } }],
    [
      `amqps://localhost?cacertfile=${pemFile}&certfile=${pemFile}&keyfile=${pemFile}`,
      { tls: { ca: readFileSync(pemFile), cert: readFileSync(pemFile), key: readFileSync(pemFile) } },
    ],
  ])('has the defaults of AMQP: %s', (url, parts) => {
    expect(parseEndpoint(url)).toMatchObject(parts);
  });

  it.each([
    ['', 'got ``'],
    ['localhost', 'got `localhost`'],
    ['localhost:5672', 'without `amqp://` in front'],
    ['guest:geheim@localhost:5672', 'without `amqp://` in front'],
    ['shop:geheim@host/a@b', 'without `amqp://` in front'],
    ['http://localhost', 'with another protocol'],
    ['amqp://', 'got `amqp://`'],
    ['amqp:///shop', 'without a host'],
    ['amqp://localhost:99999', 'got `amqp://localhost:99999`'],
    ['amqp://localhost/%zz', 'with a broken %-escape'],
    ['amqp://localhost?heartbeat=ten', '`heartbeat` is not a whole number'],
    ['amqp://localhost?heartbeat=-1', '`heartbeat` is not a whole number'],
    ['amqp://localhost?auth_mechanism=scram', 'neither plain nor external'],
    ['amqp://localhost?heartbeat=10000', 'whose `heartbeat` is 10000: it has to be from 0 to 600 seconds'],
    ['amqp://localhost?connection_timeout=0', 'it has to be from 1 to 2147483647 ms'],
    ['amqp://localhost?channel_max=65536', 'it has to be from 0 to 65535'],
    ['amqp://localhost?frame_max=4095', 'whose `frame_max` is 4095: it has to be from 4096 to 4294967295 bytes, or 0'],
    ['amqp://localhost?frameMax=1', 'it has to be from 4096'],
    ['amqp://localhost?channel_max=1&channelMax=2', 'with both `channelMax` and `channel_max`'],
    ['amqp://localhost?heartbeat=1&heartbeat=2', 'with `heartbeat` more than once'],
    ['amqp://localhost?verify=verify_peer', 'with the parameter `verify`, which needs amqps://'],
    ['amqps://localhost?verify=maybe', 'whose `verify` is neither verify_peer nor verify_none'],
    ['amqps://localhost?cacertfile=/no/such/file', 'whose `cacertfile` cannot be read (ENOENT: no such file'],
    [`amqps://localhost?cacertfile=${derFile}`, 'whose `cacertfile` is not in PEM'],
    ['amqps://localhost?fail_if_no_peer_cert=true', 'which is for servers: leave it out'],
    ['amqps://localhost?depth=2', 'check the certificate chain in `tls.checkServerIdentity`'],
    ['amqp://localhost?hartbeat=1', 'unknown parameter `hartbeat` (known: heartbeat,'],
  ])('that cannot be right is refused with a sentence: %s', (url, sentence) => {
    const error = refusalOf(() => parseEndpoint(url));
    expect(error.option).toBe('url');
    expect(error.message).toMatch(/^Expected `url` to be an AMQP URL such as amqp:/);
    expect(error.message).toContain(sentence);
  });

  it.each([
    ['amqp://localhost?heartbeat=600', { heartbeat: 600 }],
    ['amqp://localhost?channel_max=0', { channelMax: 0 }],
    ['amqp://localhost?channelMax=65535', { channelMax: 65_535 }],
    ['amqp://localhost?connection_timeout=1', { connectTimeout: 1 }],
    ['amqp://localhost?connectTimeout=2147483647', { connectTimeout: 2_147_483_647 }],
    ['amqp://localhost?frameMax=4294967295', { frameMax: 4_294_967_295 }],
    ['amqps://localhost?verify=verify_none', { tls: { rejectUnauthorized: false } }],
    ['amqps://localhost?password=', { tls: { passphrase: '' } }],
    ['amqps://localhost?server_name_indication=other', { tls: { servername: 'other' } }],
    [`amqps://localhost?cacertfile=${pemFile}`, { tls: { ca: readFileSync(pemFile) } }],
    ['amqps://localhost?locale=en_US', { locale: 'en_US' }],
    ['amqps://localhost', {}],
  ])('says no more than what is in it: %s', (url, parts) => {
    const { label, protocol, hostname, port, username, password, vhost, ...others } = parseEndpoint(url);
    expect(others).toStrictEqual({ external: false, ...parts });
  });

  it.each([
    ['amqp://localhost?heartbeat=601', 'from 0 to 600 seconds'],
    ['amqp://localhost?connectTimeout=2147483648', 'from 1 to 2147483647 ms'],
    ['amqp://localhost?frame_max=4294967296', 'from 4096 to 4294967295 bytes, or 0'],
    ['amqp://localhost?frame_max=01', 'whose `frame_max` is 01: it has to be from 4096'],
    ['amqp://localhost?heartbeat=00000000001', '`heartbeat` is not a whole number'],
    ['amqp://localhost?heartbeat=1s', '`heartbeat` is not a whole number'],
    ['amqp://localhost?heartbeat=s1', '`heartbeat` is not a whole number'],
    ['amqp://localhost?heartbeat=', '`heartbeat` is not a whole number'],
    ['amqp://localhost?locale=a&locale=a', 'with `locale` more than once'],
    ...['cacertfile', 'certfile', 'keyfile', 'password', 'server_name_indication'].map((name) => [
      `amqp://localhost?${name}=x`,
      `with the parameter \`${name}\`, which needs amqps://`,
    ]),
    ...['certfile', 'keyfile'].map((name) => [
      `amqps://localhost?${name}=/no/such/file`,
      `whose \`${name}\` cannot be read (ENOENT`,
    ]),
    ...['certfile', 'keyfile'].map((name) => [
      `amqps://localhost?${name}=${derFile}`,
      `whose \`${name}\` is not in PEM`,
    ]),
    ['amqp://localhost#x', 'with a `#` or `@` that is not %-escaped'],
    ['amqp://localhost/a@b', 'with a `#` or `@` that is not %-escaped'],
    ['amqp://localhost?locale=a@b', 'with a `#` or `@` that is not %-escaped'],
    ['amqps://localhost?auth_mechanism=plain&auth_mechanism=amqplain', 'neither plain nor external'],
  ])('that asks for what it cannot have is refused: %s', (url, sentence) => {
    expect(refusalOf(() => parseEndpoint(url)).message).toContain(sentence);
  });

  it('that cannot be read at all is refused in one sentence', () => {
    expect(refusalOf(() => parseEndpoint('amqp://localhost:99999')).message).toBe(
      'Expected `url` to be an AMQP URL such as amqp://user:password@host:5672/vhost, got `amqp://localhost:99999`.',
    );
  });

  it('names every parameter that it knows when it refuses one', () => {
    expect(refusalOf(() => parseEndpoint('amqp://localhost?x=1')).message).toContain(
      '(known: heartbeat, frameMax, frame_max, channelMax, channel_max, connectTimeout, connection_timeout, locale, auth_mechanism, cacertfile, certfile, keyfile, password, verify, server_name_indication)',
    );
  });

  it.each([[5672], [undefined], [null], [{ url: 'amqp://localhost' }]])('is a string: %p', (given) => {
    expect(refusalOf(() => parseEndpoint(given)).message).toMatch(/^Expected `url` to be an AMQP URL .*, got /);
  });
});

describe('credentials', () => {
  it.each([
    'http://alice:s3cret@localhost',
    'amqp://alice:s3cret@',
    'amqp://alice:s3cret@localhost:port/',
    'amqp://alice:s3cret@localhost/%zz',
    'amqp://alice:s3cret%zz@localhost',
    'amqp://alice:s3cret@localhost?heartbeat=x',
    'amqp://alice:s3cret@localhost?password=s3cret',
    'amqps://alice:s3cret@localhost?password=s3cret&verify=s3cret',
    'amqps://alice:s3cret@localhost?password=s3cret&keyfile=/no/such/file',
    'amqp://alice:s3c@s3cret@loc alhost',
    'amqp://alice:s3cret/x@localhost',
    'amqp://alice:s3cret',
    'alice:s3cret@localhost',
    'alice:s3cret',
    'amqp:alice:s3cret@localhost',
  ])('are in no refusal: %s', (url) => {
    const error = refusalOf(() => parseEndpoint(url));
    expect(inspect(error, { depth: 10 }).replace(error.stack ?? '', error.message)).not.toMatch(/s3c/);
    expect(error.message).not.toContain('alice:s3c');
    expect(error.stack).not.toMatch(/s3c/);
    expect(error.cause).toBeUndefined();
  });

  it.each([
    ['amqp://alice:s3cret@host:port/v?heartbeat=x', '***@host:port/v?***'],
    ['amqp://alice:s3cret@host:port/v', '***@host:port/v'],
    ['amqp://a@b:s3cret@host:port?x\ny', '***@host:port?***'],
    ['alice:s3cret', 'alice:***'],
    ['localhost:5672', 'localhost:5672'],
    ['localhost:5672/shop', 'localhost:5672/shop'],
    ['localhost:5672?x=1', 'localhost:5672?x=1'],
    ['localhost:56a', 'localhost:***'],
    ['http://localhost:80/a:b\nc', 'http://localhost:80/a:***'],
  ])('leave the rest of a refused URL to be seen: %s', (url, seen) => {
    expect(refusalOf(() => parseEndpoint(url)).message).toMatch(
      new RegExp(`got \`${seen.replace(/[*?/.]/g, '\\$&')}\``),
    );
  });

  it('are not in the label', () => {
    expect(parseEndpoint('amqp://alice:s3cret@localhost:1234/v').label).toBe('localhost:1234/v');
  });
});

describe('where to connect', () => {
  it('may be several URLs, at least one', () => {
    expect(parseEndpoints(['amqp://a', 'amqp://b']).map(({ label }) => label)).toEqual(['a:5672/', 'b:5672/']);
    expect(refusalOf(() => parseEndpoints([])).message).toContain('a list of at least one');
    expect(() => parseEndpoints(['amqp://a', 'nonsense'])).toThrow(OptionsError);
  });

  it('is checked at once when it is known at once', () => {
    expect(() => endpointSource('nonsense')).toThrow(OptionsError);
  });

  it('may be a function, asked anew each time', async () => {
    let port = 1;
    const source = endpointSource(() => Promise.resolve(`amqp://localhost:${String(port++)}`));
    expect((await source())[0]?.port).toBe(1);
    expect((await source())[0]?.port).toBe(2);
  });

  it('is a rejection, not a throw, when that function gives nonsense or fails', async () => {
    await expect(endpointSource(() => 'nonsense')()).rejects.toBeInstanceOf(OptionsError);
    const broken = endpointSource(() => {
      throw new Error('discovery');
    });
    await expect(broken()).rejects.toThrow('discovery');
  });

  it('comes in an order by chance, each once', () => {
    const all = ['a', 'b', 'c'];
    const orders = new Set(Array.from({ length: 200 }, () => shuffled(all).join('')));
    expect([...orders].sort()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
    expect(all).toEqual(['a', 'b', 'c']);
  });
});

describe('beside `credentials`', () => {
  const external = 'amqps://localhost?auth_mechanism=external';
  const refused = {
    code: 'OPTIONS_INVALID',
    option: 'credentials',
    message: expect.stringContaining('external') as string,
  };

  it('a URL that logs in by certificate is refused: at once, or when a function gives it', async () => {
    expect(() => endpointSource(external, true)).toThrow(expect.objectContaining(refused) as Error);
    await expect(endpointSource(() => ['amqp://localhost', external], true)()).rejects.toMatchObject(refused);
  });

  it('any other is fine, and so is that one without them', async () => {
    expect(await endpointSource('amqp://user:password@localhost', true)()).toHaveLength(1);
    expect(await endpointSource(external)()).toHaveLength(1);
  });
});
