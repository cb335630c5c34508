import { ChannelError, ConnectionError, OptionsError } from 'instance-queue';
import { checkConnection, type CheckOptions, type CheckStep } from 'instance-queue/tools';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect as dial, createServer as createTcp, type AddressInfo } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { lastValueFrom, take, toArray } from 'rxjs';
import { freePort } from '../../../compose/ports';
import { closeAll, closing } from '../../support/closing';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { defaultReply } from '../../support/fake-broker/default-reply';

afterEach(closeAll);

const check = (options: CheckOptions): Promise<CheckStep[]> => lastValueFrom(checkConnection(options).pipe(toArray()));
/** `login ok`, and so on. */
const outline = (steps: readonly CheckStep[]): string[] => steps.map(({ name, status }) => `${name} ${status}`);
const named = (steps: readonly CheckStep[], name: CheckStep['name']): CheckStep | undefined =>
  steps.find((step) => step.name === name);

async function scripted(script: (client: FakeClient) => void = () => undefined): Promise<FakeBroker> {
  return closing(await FakeBroker.start(script));
}
/** Those that speak AMQP; a connection that is only opened says nothing. */
const speaking = ({ clients }: FakeBroker): readonly FakeClient[] =>
  clients.filter(({ received }) => received.length > 0);
const closed = (fake: FakeBroker): Promise<unknown> =>
  Promise.all(speaking(fake).map((client) => client.until('connection.close')));
const methods = (fake: FakeBroker): readonly string[] =>
  fake.clients.flatMap(({ received }) => received).map(({ name }) => name);

/** Refuses what a method asks for, if it fits, as RabbitMQ does. */
const refusing =
  (method: string, replyCode: number, text: string, fits: (fields: Record<string, unknown>) => boolean = () => true) =>
  (client: FakeClient): void => {
    client.onMethod(method, (fields, channel) => {
      if (!fits(fields)) return 'default';
      client.closeChannel(channel, replyCode, text);
      return undefined;
    });
  };
const DENIED = "ACCESS_REFUSED - access to it in vhost '/' refused for user 'guest'";
const ADVICE = 'The permissions of a user are patterns of names: `rabbitmqctl list_user_permissions USER` shows them.';

describe('the check of a connection that works', () => {
  it('says of each step what it found', async () => {
    const fake = await scripted();
    const steps = await check({ url: fake.url, queue: 'orders' });
    const port = String(fake.port);
    expect(steps.map(({ name, text }) => `${name}: ${text.replace(/\(\d+ ms\)/, '(… ms)')}`)).toEqual([
      'dns: 127.0.0.1 is 127.0.0.1',
      `tcp: port ${port} accepts connections (… ms)`,
      'login: RabbitMQ 0.0.0-fake, as user guest in virtual host /; heartbeat 10 s, frames of 131072 bytes',
      'configure: may declare queues',
      'write: may publish to the default exchange',
      'read: may take messages',
      'queue: orders: 0 messages ready, 0 consumers',
    ]);
    expect(steps.map(({ status }) => status)).toEqual(steps.map(() => 'ok'));
    expect(steps.filter((step) => 'error' in step)).toEqual([]);
  });

  it('leaves nothing behind: it takes its message out of its own queue, deletes that, and closes its connections', async () => {
    const fake = await scripted((client) => {
      client.onMethod('basic.get', (_, channel) => {
        const [message] = fake.clients.flatMap(({ published }) => published);
        const found = { deliveryTag: 1, redelivered: false, exchange: '', routingKey: '', messageCount: 0 };
        client.sendContent(channel, 'basic.get-ok', found, message?.body ?? '', message?.properties);
      });
    });
    await check({ url: fake.url });
    await closed(fake);
    const received = fake.clients.flatMap((client) => client.received);
    const about = (method: string): unknown[] =>
      received.filter(({ name }) => name === method).map(({ fields }) => fields['queue'] ?? fields['routingKey']);
    const [own] = about('queue.declare');
    expect(own).toMatch(/^instance-queue-check-[\w-]{36}$/);
    for (const method of ['queue.declare', 'basic.publish', 'basic.get', 'queue.delete'])
      expect([method, ...about(method)]).toEqual([method, own]);
    expect(received.find(({ name }) => name === 'queue.declare')?.fields).toMatchObject({
      exclusive: true,
      autoDelete: true,
      durable: false,
    });
    expect(about('basic.ack')).toHaveLength(1);
    expect(speaking(fake)).toHaveLength(2);
  });

  it('shows up at the broker as what it is', async () => {
    const fake = await scripted();
    await check({ url: fake.url });
    const started = fake.clients
      .flatMap(({ received }) => received)
      .filter(({ name }) => name === 'connection.start-ok');
    expect(started).toHaveLength(2);
    for (const { fields } of started) expect(JSON.stringify(fields)).toContain('instance-queue check');
  });

  it('tells nothing of a queue unless one is named', async () => {
    const fake = await scripted();
    expect(named(await check({ url: fake.url }), 'queue')).toBeUndefined();
  });

  it('knows no version of a broker that does not say what it is', async () => {
    const fake = await scripted((client) => {
      client.onMethod('protocol-header', () => {
        const start = defaultReply('protocol-header', {})!;
        const { capabilities } = start.fields['serverProperties'] as { capabilities: object };
        client.send(0, start.name, { ...start.fields, serverProperties: { capabilities } });
      });
    });
    const login = named(await check({ url: fake.url }), 'login');
    expect(login).toMatchObject({
      status: 'ok',
      text: expect.stringMatching(/^a broker that does not say which, as user guest in virtual host \/;/) as unknown,
    });
  });

  it('tries nothing further when nobody listens any more', async () => {
    const fake = await scripted();
    expect(outline(await lastValueFrom(checkConnection({ url: fake.url }).pipe(take(1), toArray())))).toEqual([
      'dns ok',
    ]);
    expect(fake.clients).toEqual([]);
    await lastValueFrom(checkConnection({ url: fake.url }).pipe(take(3)));
    await closed(fake);
    expect(methods(fake)).not.toContain('queue.declare');
  });
});

describe('the check of a connection that is refused', () => {
  it('ends where no host has the name', async () => {
    const steps = await check({ url: 'amqp://shop:geheim@no-such-host.invalid' });
    expect(outline(steps)).toEqual(['dns failed']);
    expect(steps[0]).toMatchObject({ error: { code: 'CONNECT_FAILED' } });
    expect(JSON.stringify(steps)).not.toContain('geheim');
  });

  it('ends where nothing listens', async () => {
    const port = await freePort();
    const steps = await check({ url: `amqp://shop:geheim@127.0.0.1:${String(port)}` });
    expect(outline(steps)).toEqual(['dns ok', 'tcp failed']);
    const [, tcp] = steps;
    expect(tcp?.error).toBeInstanceOf(ConnectionError);
    expect(tcp?.text).toBe(tcp?.error?.message);
    expect(tcp?.text).toContain(`Cannot connect to 127.0.0.1:${String(port)}/: nothing listens there.`);
  });

  it('ends where the broker does not let the user in', async () => {
    const fake = await scripted((client) => {
      client.onMethod('connection.start-ok', () => {
        client.closeConnection(403, 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.');
      });
    });
    const steps = await check({ url: fake.url.replace('guest:guest', 'shop:geheim') });
    expect(outline(steps)).toEqual(['dns ok', 'tcp ok', 'login failed']);
    expect(steps[2]).toMatchObject({
      error: { replyCode: 403 },
      text: expect.stringContaining('credentials') as unknown,
    });
    expect(steps[2]?.text).not.toContain('rabbitmqctl');
    expect(JSON.stringify(steps)).not.toContain('geheim');
    expect(fake.clients.length).toBeLessThanOrEqual(3);
  });

  it('ends in time where nobody answers', async () => {
    const fake = await scripted((client) => {
      client.onMethod('protocol-header', 'ignore');
    });
    const began = performance.now();
    const steps = await check({ url: fake.url, timeout: 100.5 });
    expect(performance.now() - began).toBeLessThan(5000);
    expect(outline(steps)).toEqual(['dns ok', 'tcp ok', 'login failed']);
  });

  it.each<[string, string[]]>([
    ['queue.declare', ['configure failed', 'write skipped', 'read skipped', 'queue failed']],
    ['basic.publish', ['configure ok', 'write failed', 'read ok', 'queue ok']],
    ['basic.get', ['configure ok', 'write ok', 'read failed', 'queue ok']],
    ['queue.delete', ['configure ok', 'write ok', 'read ok', 'queue ok']],
  ])('ends in time where the broker does not answer %s', async (method, ends) => {
    const fake = await scripted((client) => {
      client.onMethod(method, 'ignore');
    });
    const began = performance.now();
    const steps = await check({ url: fake.url, queue: 'orders', timeout: 300 });
    expect(outline(steps).slice(3)).toEqual(ends);
    expect(performance.now() - began).toBeLessThan(5000);
    const failed = steps.find(({ status }) => status === 'failed');
    if (failed && failed.name !== 'write') {
      expect(failed.error).toBeInstanceOf(ConnectionError);
      expect(failed.text).toContain('no answer within 300 ms');
    }
  });

  it('tries no messages without the permission to declare a queue for them, and looks at the named one all the same', async () => {
    const fake = await scripted(refusing('queue.declare', 403, DENIED, ({ passive }) => passive !== true));
    const steps = await check({ url: fake.url, queue: 'orders' });
    expect(outline(steps.slice(3))).toEqual(['configure failed', 'write skipped', 'read skipped', 'queue ok']);
    const configure = named(steps, 'configure');
    expect(configure?.error).toBeInstanceOf(ChannelError);
    expect(configure).toMatchObject({ error: { replyCode: 403, cause: { replyCode: 403 } } });
    expect(configure?.text).toContain(DENIED);
    expect(configure?.text.endsWith(ADVICE)).toBe(true);
    for (const name of ['write', 'read'] as const)
      expect(named(steps, name)?.text).toBe('not tried, because that needs a queue of its own');
    expect(methods(fake)).not.toContain('queue.delete');
  });

  it.each([
    ['write', 'basic.publish', ['write failed', 'read ok']],
    ['read', 'basic.get', ['write ok', 'read failed']],
  ] as const)('goes on behind the lack of the permission to %s', async (name, method, expected) => {
    const fake = await scripted(refusing(method, 403, DENIED));
    const steps = await check({ url: fake.url });
    expect(outline(steps.slice(3))).toEqual(['configure ok', ...expected]);
    expect(named(steps, name)).toMatchObject({
      text: expect.stringContaining(ADVICE) as unknown,
      error: { replyCode: 403 },
    });
  });

  it.each([
    [
      'is not there',
      404,
      "NOT_FOUND - no queue 'orders' in vhost '/'",
      'There is no queue `orders` in this virtual host.',
    ],
    ['is another connection’s', 405, 'RESOURCE_LOCKED - cannot obtain exclusive access', 'RESOURCE_LOCKED'],
  ])('says that the named queue %s, which no permission would change', async (_, replyCode, text, words) => {
    const fake = await scripted(refusing('queue.declare', replyCode, text, ({ passive }) => passive === true));
    const queue = named(await check({ url: fake.url, queue: 'orders' }), 'queue');
    expect(queue).toMatchObject({ status: 'failed', error: { replyCode } });
    expect(queue?.text).toContain(words);
    expect(queue?.text).not.toContain('rabbitmqctl');
  });

  it.each<[string, unknown]>([
    ['url', {}],
    ['url', { url: 'http://shop:geheim@localhost' }],
    ['timeout', { url: 'amqp://localhost', timeout: 0 }],
    ['queue', { url: 'amqp://localhost', queue: 'q'.repeat(256) }],
    ['tls', { url: 'amqps://localhost', tls: { ca: '/etc/ca.pem' } }],
    ['uri', { url: 'amqp://localhost', uri: 'amqp://shop:geheim@localhost' }],
  ])('begins with no wrong option: `%s`', (option, options) => {
    const made = (): unknown => checkConnection(options as CheckOptions);
    expect(made).toThrow(OptionsError);
    expect(made).toThrow(option);
    expect(made).not.toThrow('geheim');
  });
});

describe('the check of a connection over TLS', () => {
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '9'];
  const certificate = (...more: string[]): string =>
    execFileSync('openssl', [...made, ...more, '-keyout', '-', '-out', '-'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  let pem: string;
  let nameless: string;
  beforeAll(() => {
    pem = certificate('-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
    nameless = certificate('-subj', '/O=shop', '-addext', 'subjectAltName=DNS:localhost');
  });

  /** A TLS server in front of a scripted broker. Gives its port, and the names that clients asked for. */
  async function secured(
    key = pem,
  ): Promise<{ readonly port: number; readonly asked: unknown[]; readonly fake: FakeBroker }> {
    const fake = await scripted();
    const asked: unknown[] = [];
    const server = createTls({ key, cert: key }, (client) => {
      asked.push(client.servername);
      const onward = dial(fake.port, '127.0.0.1');
      client.pipe(onward).pipe(client);
      client.on('error', () => onward.destroy());
      onward.on('error', () => client.destroy());
    });
    server.on('tlsClientError', () => undefined);
    closing({ close: () => new Promise((resolve) => server.close(resolve)) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, asked, fake };
  }
  const url = (port: number, host = 'localhost', query = ''): string =>
    `amqps://guest:guest@${host}:${String(port)}${query}`;

  it('tells of the certificate, its name and its age', async () => {
    const { port, asked } = await secured();
    const steps = await check({ url: url(port), tls: { ca: pem } });
    expect(outline(steps).slice(0, 4)).toEqual(['dns ok', 'tcp ok', 'tls ok', 'login ok']);
    expect(named(steps, 'tls')?.text).toMatch(/^TLSv1\.\d; the certificate of localhost is good for 8 days$/);
    expect(asked[0]).toBe('localhost');
  });

  it('says so where it is not verified, by an option or by a parameter of the URL', async () => {
    const { port } = await secured();
    for (const options of [
      { url: url(port), tls: { rejectUnauthorized: false } },
      { url: url(port, 'localhost', '/?verify=verify_none') },
    ]) {
      const steps = await check(options);
      expect(named(steps, 'tls')).toMatchObject({
        status: 'ok',
        text: expect.stringMatching(/good for 8 days, which is not verified \(`verify_none`\)$/) as unknown,
      });
      expect(named(steps, 'login')?.status).toBe('ok');
    }
  });

  it('calls a certificate without a name by its host', async () => {
    const { port } = await secured(nameless);
    const steps = await check({ url: url(port), tls: { ca: nameless } });
    expect(named(steps, 'tls')?.text).toContain('; the certificate of localhost is good for 8 days');
  });

  it('asks for no name where the host is an address', async () => {
    const { port, asked } = await secured();
    const steps = await check({ url: url(port, '127.0.0.1'), tls: { ca: pem } });
    expect([named(steps, 'tls')?.status, asked[0]]).toEqual(['ok', false]);
  });

  it('ends at a certificate that is not trusted, before it shows its password', async () => {
    const { port, fake } = await secured();
    const steps = await check({ url: url(port) });
    expect(outline(steps)).toEqual(['dns ok', 'tcp ok', 'tls failed']);
    expect(steps[2]?.text).toContain('self-signed. Give its CA as `tls.ca`.');
    expect(methods(fake)).toEqual([]);
  });

  it('ends in time where the port does not answer, and says what that may be', async () => {
    const server = createTcp(() => undefined);
    closing({ close: () => server.close() });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const steps = await check({ url: url(port), timeout: 50 });
    expect(outline(steps)).toEqual(['dns ok', 'tcp ok', 'tls failed']);
    expect(steps[2]?.text).toContain('no answer within 50 ms. Is a firewall in between?');
  });
});
