import { inspect } from 'node:util';
import { endpointSource, parseEndpoint, parseEndpoints, shuffled } from '../../../lib/transport/endpoints';
import { OptionsError } from '../../../lib/errors';

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
    ['amqp://[::1]:1234/v', { hostname: '::1', port: 1234, label: '[::1]:1234/v' }],
    ['amqp://[::1]', { hostname: '::1', port: 5672, label: '[::1]:5672/' }],
    ['amqps://localhost?auth_mechanism=EXTERNAL', { external: true }],
    ['amqp://localhost?auth_mechanism=plain', { external: false }],
    ['amqp://localhost?heartbeat=0', { heartbeat: 0 }],
  ])('has the defaults of AMQP: %s', (url, parts) => {
    expect(parseEndpoint(url)).toMatchObject(parts);
  });

  it.each([
    ['', 'got ``'],
    ['localhost', 'got `localhost`'],
    ['localhost:5672', 'with another protocol'],
    ['http://localhost', 'with another protocol'],
    ['amqp://', 'got `amqp://`'],
    ['amqp:///shop', 'without a host'],
    ['amqp://localhost:99999', 'got `amqp://localhost:99999`'],
    ['amqp://localhost/%zz', 'with a broken %-escape'],
    ['amqp://localhost?heartbeat=ten', '`heartbeat` is not a whole number'],
    ['amqp://localhost?heartbeat=-1', '`heartbeat` is not a whole number'],
    ['amqp://localhost?auth_mechanism=scram', 'neither plain nor external'],
    ['amqp://localhost?hartbeat=1', 'unknown parameter `hartbeat` (known: heartbeat,'],
  ])('that cannot be right is refused with a sentence: %s', (url, sentence) => {
    const error = refusalOf(() => parseEndpoint(url));
    expect(error.option).toBe('url');
    expect(error.message).toMatch(/^Expected `url` to be an AMQP URL such as amqp:/);
    expect(error.message).toContain(sentence);
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
