import { type AddressInfo, createServer, type Socket } from 'node:net';
import { checkConnection } from 'instance-queue/tools';
import { lastValueFrom } from 'rxjs';
import { runCommand, Session, type Command, type GlobalOptions } from '../../../lib/cli/session';
import { OptionsError } from '../../../lib/index';
import { surroundings } from '../../support/surroundings';
import { rejection } from '../../support/waiting';

const never = new AbortController().signal;
const session = (options: Partial<GlobalOptions> = {}, env: NodeJS.ProcessEnv = {}): Session =>
  new Session(surroundings({ env }), { color: false, ...options }, never);

describe('the broker of a command', () => {
  it.each<[string | undefined, string | undefined, string]>([
    ['amqp://a', 'amqp://b', 'amqp://a'],
    [undefined, 'amqp://b', 'amqp://b'],
    [undefined, '', 'amqp://localhost'],
    [undefined, undefined, 'amqp://localhost'],
  ])('with --url %s and AMQP_URL %s is %s', (url, variable, expected) => {
    const { url: used } = session(
      url === undefined ? {} : { url },
      variable === undefined ? {} : { AMQP_URL: variable },
    );
    expect(used).toBe(expected);
  });

  it('is not connected to before a command needs it, and once', async () => {
    const one = session();
    await one.close();
    const { queue } = one;
    expect(one.queue).toBe(queue);
    await one.close();
    expect(queue.health.status).toBe('down');
  });
});

it.each<[string, number, (url: string) => Promise<unknown>]>([
  [
    'a command',
    1,
    async (url) => {
      const one = session({ url });
      await rejection(one.queue.connect());
      await one.close();
    },
  ],
  // Its first connection is for TCP alone.
  ['a check', 2, (url) => lastValueFrom(checkConnection({ url }))],
])('%s is not warned of what concerns services: a logger that they have not', async (_, connections, connect) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets: Socket[] = [];
  const accepted = new Promise<void>((resolve) =>
    server.on('connection', (socket) => {
      if (sockets.push(socket) === connections) resolve();
    }),
  );
  const warnings = jest.spyOn(process, 'emitWarning').mockImplementation();
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  try {
    const ended = connect(`amqp://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
    await accepted;
    jest.advanceTimersByTime(6000);
    expect(warnings).not.toHaveBeenCalled();
    for (const socket of sockets) socket.destroy();
    jest.useRealTimers();
    await ended;
  } finally {
    jest.useRealTimers();
    warnings.mockRestore();
    server.close();
  }
});

describe('the management API of a command', () => {
  it.each<[string, string | undefined, object]>([
    ['amqp://shop:a%40b@host/orders', undefined, { url: 'http://shop:a%40b@host:15672/', vhost: 'orders' }],
    ['amqps://shop:secret@host:5999', undefined, { url: 'https://shop:secret@host:15671/', vhost: '/' }],
    ['amqp://host/', undefined, { url: 'http://guest:guest@host:15672/', vhost: '/' }],
    ['amqp://host/%2Fa', undefined, { url: 'http://guest:guest@host:15672/', vhost: '/a' }],
    ['amqp://shop:secret@host', 'https://other:1/rabbit', { url: 'https://shop:secret@other:1/rabbit' }],
    ['amqp://shop:secret@host', 'http://admin:x@other:1', { url: 'http://admin:x@other:1/' }],
    ['amqp://shop:secret@host', 'http://admin@other:1', { url: 'http://admin@other:1/' }],
    ['amqp://shop:secret@host', 'http://:x@other:1', { url: 'http://:x@other:1/' }],
  ])('of %s, with --management %s', (url, management, expected) => {
    const { management: found } = session({ url, ...(management !== undefined && { management }) });
    expect(found).toMatchObject(expected);
  });

  it.each([
    [{ url: 'geheim' }, '--url: expected a URL such as amqp://user:password@host/vhost'],
    [
      { url: 'amqp://shop:geheim@host/100%' },
      '--url: expected a virtual host that is percent-encoded: `%25` for `%`, `%2F` for `/`',
    ],
    [{ url: 'amqp://host', management: 'geheim' }, '--management: expected a URL such as http://host:15672'],
  ])('is refused without quoting what may hold a password: %j', (options, words) => {
    expect(() => session(options).management).toThrow(words);
    expect(() => session(options).management).not.toThrow('geheim');
  });
});

describe('the end of a command', () => {
  const run = async (command: Command, interrupted = never) => {
    const around = surroundings();
    const code = await runCommand(around, { color: false }, interrupted, command);
    await new Promise((resolve) => setImmediate(resolve));
    return { code, out: around.out(), err: around.err() };
  };

  it.each<[string, Command, number, string]>([
    ['its own exit code', () => Promise.resolve(7), 7, ''],
    ['what it failed with', () => Promise.reject(new Error('broken')), 1, 'error: broken\n'],
    ['wrong usage', () => Promise.reject(new OptionsError('url', 'Wrong.')), 2, 'error: Wrong.\n'],
  ])('is %s', async (_, command, code, err) => {
    expect(await run(command)).toEqual({ code, out: '', err });
  });

  it('is an interruption after Ctrl-C, unless it says more', async () => {
    const aborted = AbortSignal.abort();
    expect(await run(() => Promise.resolve(0), aborted)).toMatchObject({ code: 130, err: '' });
    expect(await run(() => Promise.resolve(7), aborted)).toMatchObject({ code: 7 });
    expect(await run(() => Promise.reject(new Error('left')), aborted)).toMatchObject({ code: 130, err: '' });
  });

  it('is no failure when the output is closed at its other end', async () => {
    const around = surroundings();
    const code = runCommand(around, { color: false }, never, async ({ signal }) => {
      around.stdout.emit('error', Object.assign(new Error('closed'), { code: 'EPIPE' }));
      await Promise.resolve();
      signal.throwIfAborted();
      return 7;
    });
    expect(await code).toBe(0);
    expect(around.err()).toBe('');
  });
});
