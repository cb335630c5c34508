import { FakeInstanceQueue } from 'instance-queue/testing';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkCommand, topologyCommand, topologyIn } from '../../../lib/cli/inspect-commands';
import { closeAll, closing } from '../../support/closing';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { listening } from '../../support/listening';
import { runOver, type RunOptions, surroundings } from '../../support/surroundings';
import { eventually } from '../../support/waiting';

afterEach(closeAll);

describe('topology diff', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'topology-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const TOPOLOGY = {
    exchanges: [{ name: 'events', type: 'topic' }],
    queues: [{ name: 'orders' }],
  } as const;

  async function diff(content: string, { name = 'a.json', ...options }: RunOptions & { name?: string } = {}) {
    const queue = closing(new FakeInstanceQueue());
    await queue.admin.declare(TOPOLOGY);
    writeFileSync(join(folder, name), content);
    const management = 'http://127.0.0.1:1';
    return runOver(queue, topologyCommand, ['diff', join(folder, name)], { management, ...options });
  }

  it('is done where everything is as it should be', async () => {
    const { code, out, err } = await diff(JSON.stringify(TOPOLOGY));
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^same {6}exchange events\nsame {6}queue {4}orders\n/);
  });

  it('is done in part where something differs or is missing, and says what', async () => {
    const queues = [{ name: 'orders', arguments: { 'x-max-length': 5 } }, { name: 'others' }];
    const { code, out } = await diff(JSON.stringify({ queues }));
    expect(code).toBe(7);
    expect(out).toMatch(/^different queue {4}orders\n {12}.*x-max-length.*\nmissing {3}queue {4}others\n/);
    const { code: same, out: json } = await diff(JSON.stringify({ queues }), { json: true });
    expect(same).toBe(7);
    expect(JSON.parse(json)).toMatchObject({ same: false, compared: [{ state: 'different' }, { state: 'missing' }] });
  });

  it('tells what is unknown apart from what is the same', async () => {
    const bindings = [{ exchange: 'events', queue: 'orders', routingKey: '#' }];
    const { code, out } = await diff(JSON.stringify({ ...TOPOLOGY, bindings }), { json: true });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      same: true,
      unknown: 1,
      compared: [{ state: 'same' }, { state: 'same' }, { state: 'unknown' }],
    });
    expect(await diff(JSON.stringify({ ...TOPOLOGY, bindings }))).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\nunknown {3}binding {2}events → orders \(#\)\n/) as unknown,
      err: '1 of 3 could not be compared\n',
    });
  });

  it('reads a file that begins with a byte order mark', async () => {
    expect(await diff(`\ufeff${JSON.stringify(TOPOLOGY)}`)).toMatchObject({ code: 0, err: '' });
  });

  it('shows what is there in colours, and of a terminal only the text of names and details', async () => {
    const evil = 'a\u001b[2J';
    const bindings = [{ exchange: 'events', queue: 'orders' }];
    const topology = { ...TOPOLOGY, queues: [...TOPOLOGY.queues, { name: evil }], bindings };
    const around = surroundings({ isTTY: true });
    const { out } = await diff(JSON.stringify(topology), { around, color: true });
    const [exchange, queue, missing, unknown, why] = out.split('\n');
    expect([exchange, queue]).toEqual([
      '\u001b[32msame     \u001b[39m exchange events',
      '\u001b[32msame     \u001b[39m queue    orders',
    ]);
    expect(missing).toBe('\u001b[31mmissing  \u001b[39m queue    a\\x1b[2J');
    expect(unknown).toBe('\u001b[33munknown  \u001b[39m binding  events → orders');
    expect(why).toMatch(/^ {12}Cannot reach the management API at 127\.0\.0\.1:1: /);
  });

  it('is done in part where a binding is there that is not declared', async () => {
    const server = createServer((_, response) => {
      const row = {
        source: 'events',
        destination: 'orders',
        destination_type: 'queue',
        routing_key: 'a',
        arguments: {},
      };
      response.end(JSON.stringify([row]));
    });
    const { code, out } = await diff(JSON.stringify(TOPOLOGY), { management: await listening(server) });
    expect([code, out]).toEqual([7, expect.stringMatching(/\nextra {5}binding {2}events → orders \(a\)\n$/)]);
  });

  it.each([
    ['only missing', [{ name: 'others' }]],
    ['only different', [{ name: 'orders', maxLength: 5 }]],
  ])('is done in part where what there is is %s', async (_, queues) => {
    expect(await diff(JSON.stringify({ queues }))).toMatchObject({ code: 7, err: '' });
  });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['its `topology`', { topology: TOPOLOGY, default: { queues: [] } }],
    ['its default export', { default: TOPOLOGY }],
    ['the `topology` of a CommonJS module', { default: { topology: TOPOLOGY, default: { queues: [] } } }],
    ['the default export of a CommonJS module', { default: { default: TOPOLOGY, __esModule: true } }],
  ])('reads of a module %s', (_, module) => {
    expect(topologyIn(module)).toBe(TOPOLOGY);
  });

  it.each([[{}], [{ default: null }], [{ default: 'orders' }], [{ topology: 5 }]])(
    'refuses a module that exports no topology: %j',
    (module) => {
      expect(() => topologyIn(module)).toThrow('it exports no topology');
    },
  );

  it('refuses a file that is no JSON with its name', async () => {
    const { code, out, err } = await diff('{', { name: 'bad.json' });
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(`error: ${join(folder, 'bad.json')}: `);
  });
});

describe('check', () => {
  const check = (url: string, options: RunOptions = {}, ...args: string[]) =>
    runOver(closing(new FakeInstanceQueue()), checkCommand, args, { url, ...options });

  it('says at which step a connection failed, and ends there', async () => {
    const { code, out, err } = await check('amqp://shop:geheim@127.0.0.1:1/orders');
    expect([code, err]).toEqual([3, '']);
    expect(out).toMatch(/^dns {7}ok {6}127\.0\.0\.1 is 127\.0\.0\.1\ntcp {7}FAILED {2}.*127\.0\.0\.1:1.*\n$/);
    expect(out).not.toContain('geheim');
  });

  it('is one document of JSON with --json', async () => {
    const { code, out } = await check('amqp://shop:geheim@127.0.0.1:1/orders', { json: true });
    expect(code).toBe(3);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      exitCode: 3,
      steps: [
        { name: 'dns', status: 'ok', text: '127.0.0.1 is 127.0.0.1' },
        { name: 'tcp', status: 'failed', text: expect.stringContaining('127.0.0.1:1') as unknown },
      ],
    });
  });

  const words = (out: string): string[] => out.split('\n').map((line) => line.replace(/ {2,}/g, ' '));
  const scripted = async (script?: (client: FakeClient) => void): Promise<string> =>
    closing(await FakeBroker.start(script)).url;

  it('shows each step of a connection that works', async () => {
    const { code, out, err } = await check(await scripted(), {}, '--queue', 'orders');
    expect([code, err]).toEqual([0, '']);
    expect(words(out)).toEqual([
      'dns ok 127.0.0.1 is 127.0.0.1',
      expect.stringMatching(/^tcp ok port \d+ accepts connections/),
      expect.stringMatching(/^login ok RabbitMQ 0\.0\.0-fake, as user guest/),
      'configure ok may declare queues',
      'write ok may publish to the default exchange',
      'read ok may take messages',
      'queue ok orders: 0 messages ready, 0 consumers',
      '',
    ]);
    expect(out).toMatch(/^configure ok {6}may declare queues$/m);
  });

  it('ends by Ctrl-C, also where nobody answers', async () => {
    const sockets = new Set<Socket>();
    const mute = createTcp((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      // The second connection is the one that logs in.
      socket.on('data', () => {
        interrupted.abort();
      });
    });
    closing({ close: () => mute.close() });
    const interrupted = new AbortController();
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const began = performance.now();
    const url = `amqp://127.0.0.1:${String((mute.address() as AddressInfo).port)}`;
    const { code, out } = await check(url, { interrupted: interrupted.signal, json: true });
    expect({ code, out }).toEqual({ code: 130, out: '' });
    await eventually(() => sockets.size === 0);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it('looks at no queue unless one is named, and says in JSON that all is well', async () => {
    const { code, out } = await check(await scripted(), { json: true });
    expect(code).toBe(0);
    const { ok, exitCode, steps } = JSON.parse(out) as { ok: boolean; exitCode: number; steps: { name: string }[] };
    expect({ ok, exitCode }).toEqual({ ok: true, exitCode: 0 });
    expect(steps.map(({ name }) => name)).toEqual(['dns', 'tcp', 'login', 'configure', 'write', 'read']);
  });

  it.each<[string, number, string, (client: FakeClient) => void]>([
    [
      'credentials that are refused',
      4,
      'login FAILED',
      (client) => {
        client.onMethod('connection.start-ok', () => {
          client.closeConnection(403, 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.');
        });
      },
    ],
    [
      'a missing permission',
      5,
      'configure FAILED',
      (client) => {
        client.onMethod('queue.declare', ({ passive }, channel) => {
          if (passive === true) return 'default';
          client.closeChannel(channel, 403, 'ACCESS_REFUSED');
          return undefined;
        });
      },
    ],
    [
      'a queue that is not there',
      6,
      'queue FAILED',
      (client) => {
        client.onMethod('queue.declare', ({ passive }, channel) => {
          if (passive !== true) return 'default';
          client.closeChannel(channel, 404, "NOT_FOUND - no queue 'orders'");
          return undefined;
        });
      },
    ],
    [
      'a broker that does not answer',
      3,
      'login FAILED',
      (client) => {
        client.onMethod('protocol-header', 'ignore');
      },
    ],
  ])('has an exit code for %s: %i', async (_, expected, step, script) => {
    const { code, out } = await check(await scripted(script), {}, '--queue', 'orders', '--timeout', '0.2');
    expect(code).toBe(expected);
    expect(words(out).filter((line) => line.includes(step))).toHaveLength(1);
    expect(words(out).some((line) => line === 'write skipped not tried, because that needs a queue of its own')).toBe(
      expected === 5,
    );
  });

  it.each([
    [
      'amqps:',
      'tls',
      'In the URL: ?cacertfile=/path/to/ca.pem gives a CA, &server_name_indication=NAME a host name.\n',
    ],
    ['amqp:', 'login', ''],
  ])('says how a URL holds what TLS needs, where that is what failed: %s', async (protocol, failing, note) => {
    const server = createTcp((socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing({ close: () => server.close() });
    const { port } = server.address() as AddressInfo;
    const { code, out, err } = await check(`${protocol}//127.0.0.1:${String(port)}`);
    expect([code, err]).toEqual([3, note]);
    expect(words(out).at(-2)).toMatch(new RegExp(`^${failing} FAILED `));
  });

  it('has colours on a terminal', async () => {
    const around = surroundings({ isTTY: true });
    const refusing = await scripted((client) => {
      client.onMethod('queue.declare', (_, channel) => {
        client.closeChannel(channel, 403, 'ACCESS_REFUSED');
      });
    });
    const { out } = await check(refusing, { around, color: true });
    const colours = ['\u001b[32mok     \u001b[39m', '\u001b[31mFAILED \u001b[39m', '\u001b[2mskipped\u001b[22m'];
    for (const colour of colours) expect(out).toContain(colour);
  });

  it.each([['http://shop:geheim@localhost'], ['shop:geheim@localhost']])(
    'refuses what is no URL of a broker: %s',
    async (url) => {
      const { code, out, err } = await check(url);
      expect([code, out]).toEqual([2, '']);
      expect(err).toMatch(/^error: /);
      expect(err).not.toContain('geheim');
    },
  );
});
