import { OptionsError } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { liveness, probes, readiness, type ProbesOptions } from 'instance-queue/health';
import { createServer, type RequestListener } from 'node:http';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';
import { eventually } from '../../support/waiting';

afterEach(closeAll);

/** Serves requests; gives a way to ask. */
async function serving(listener: RequestListener) {
  const server = createServer(listener);
  const base = await listening(server);
  return (path: string, method = 'GET') => fetch(`${base}${path}`, { method });
}

const newQueue = (): FakeInstanceQueue => closing(new FakeInstanceQueue());

describe('probes', () => {
  const asked = (options?: ProbesOptions, queue = newQueue()) => serving(probes(queue, options));

  it('answer in JSON that no cache keeps, the readiness probe with what is missing', async () => {
    const ask = await asked({ connect: false });
    const ready = await ask('/ready?verbose=1#top');
    expect(ready.status).toBe(503);
    const text = await ready.text();
    expect(Object.fromEntries(ready.headers)).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(Buffer.byteLength(text)),
      'cache-control': 'no-store',
    });
    expect(JSON.parse(text)).toMatchObject({ ready: false, status: 'down', outbox: { queued: 0 } });
    const live = await ask('/live');
    expect([live.status, await live.json()]).toEqual([200, { alive: true }]);
  });

  it('open the connections of a queue that was not used, at the first readiness probe alone', async () => {
    const queue = newQueue();
    const connect = jest.spyOn(queue, 'connect');
    const ask = await asked({}, queue);
    await ask('/live');
    expect(connect).not.toHaveBeenCalled();
    await eventually(async () => (await ask('/ready')).status === 200);
    expect(connect).toHaveBeenCalledTimes(1);
  });

  it('answer though the connections cannot be opened, and though the queue cannot open any', async () => {
    const { health } = newQueue();
    const failing = jest.fn(() => Promise.reject(new Error('no route')));
    const ask = await serving(probes({ health, connect: failing }));
    expect((await ask('/ready')).status).toBe(503);
    expect(failing).toHaveBeenCalledTimes(1);
    expect((await (await serving(probes({ health })))('/ready')).status).toBe(503);
  });

  it.each([
    ['/ready', 'HEAD', 503, null],
    ['/live', 'HEAD', 200, null],
    ['/ready', 'POST', 405, 'GET, HEAD'],
    ['/live', 'DELETE', 405, 'GET, HEAD'],
    ['/', 'GET', 404, null],
    ['/ready/', 'GET', 404, null],
  ])('%s with %s is %i', async (path, method, status, allow) => {
    const ask = await asked({ connect: false });
    const answer = await ask(path, method);
    expect([answer.status, answer.headers.get('allow')]).toEqual([status, allow]);
    const text = await answer.text();
    if (method === 'HEAD') expect(text).toBe('');
    if (status === 404) expect(JSON.parse(text)).toEqual({ error: 'Not found. The probes are at /ready and /live.' });
    if (status === 405) expect(JSON.parse(text)).toEqual({ error: 'Method not allowed. A probe is a GET.' });
  });

  it('are at the paths of the options, and pass on everything else as middleware', async () => {
    const handler = probes(newQueue(), { ready: '/health/ready', live: '/health/live', connect: false });
    const ask = await serving((request, response) => {
      handler(request, response, () => response.writeHead(418).end());
    });
    const statuses = await Promise.all(
      ['/health/ready', '/health/live', '/ready', '/live'].map(async (path) => (await ask(path)).status),
    );
    expect(statuses).toEqual([503, 200, 418, 418]);
  });

  it.each<[string, unknown]>([
    ['ready', { ready: 'ready' }],
    ['ready', { ready: '/ready?' }],
    ['live', { live: '/a#b' }],
    ['live', { live: '/ready' }],
    ['live', { ready: '/same', live: '/same' }],
    ['connect', { connect: 'yes' }],
    ['from', { from: 'down' }],
    ['path', { path: '/ready' }],
  ])('refuse a wrong `%s`: %j', (option, options) => {
    const made = (): unknown => probes(newQueue(), options as ProbesOptions);
    expect(made).toThrow(OptionsError);
    expect(made).toThrow(option);
  });
});

it.each<[string, () => unknown, string]>([
  ['probes of nothing', () => probes(undefined as never), 'Expected `queue` to be an InstanceQueue'],
  ['readiness of what has no health', () => readiness({} as never), 'Expected `queue` to be an InstanceQueue'],
  [
    'a path within a path',
    () => probes(newQueue(), { ready: 'a/ready' }),
    'Expected `ready` to be a path that begins with /',
  ],
  [
    'one path for both',
    () => probes(newQueue(), { live: '/ready' }),
    'Expected `live` to be another path than `ready`',
  ],
  ['an unknown option', () => probes(newQueue(), { reddy: '/r' } as never), 'Unknown option `reddy` for probes()'],
  ['one of readiness', () => readiness(newQueue(), { frm: 'up' } as never), 'Unknown option `frm` for readiness()'],
])('%s is refused, with words', (_, made, words) => {
  expect(made).toThrow(OptionsError);
  expect(made).toThrow(words);
});

describe('readiness', () => {
  const { health } = new FakeInstanceQueue();

  it.each([
    ['up', 'up', 200],
    ['degraded', 'up', 503],
    ['down', 'up', 503],
    ['up', 'degraded', 200],
    ['degraded', 'degraded', 200],
    ['down', 'degraded', 503],
  ] as const)('of a service that is %s, where %s is asked for: %i', (status, from, statusCode) => {
    const answer = readiness({ health: { ...health, status } }, { from });
    expect(answer).toMatchObject({ statusCode, body: { status, ready: statusCode === 200 } });
  });

  it('asks for `up` unless the options say otherwise; liveness asks for nothing', () => {
    expect(readiness({ health: { ...health, status: 'degraded' } }).statusCode).toBe(503);
    expect(liveness()).toEqual({ statusCode: 200, body: { alive: true } });
  });
});
