import { createServer, get, IncomingMessage, ServerResponse, type RequestListener } from 'node:http';
import { Socket } from 'node:net';
import { OptionsError } from 'instance-queue';
import { dashboard, type DashboardOptions } from 'instance-queue/dashboard';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { NEVER, throwError } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';

afterEach(async () => {
  jest.useRealTimers();
  await closeAll();
});

const newQueue = (): FakeInstanceQueue => closing(new FakeInstanceQueue());
const serve = async (listener: RequestListener): Promise<string> => `${await listening(createServer(listener))}/`;
const served = (options?: DashboardOptions): Promise<string> => serve(dashboard(newQueue(), options));
/** A response to a page that reads nothing; what is written to it stays here. */
function unread(queue: FakeInstanceQueue): ServerResponse {
  const request = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/events' });
  const response = new ServerResponse(request);
  dashboard(queue)(request, response);
  return response;
}
const SECURITY = {
  'content-security-policy': expect.stringMatching(/^default-src 'none';.*frame-ancestors 'none'$/) as unknown,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};
const deadLetters = [{ name: 'dead', groups: () => NEVER }];

describe('the dashboard', () => {
  it.each([
    ['', 'text/html; charset=utf-8'],
    ['index.html', 'text/html; charset=utf-8'],
    ['main.js', 'text/javascript; charset=utf-8'],
    ['theme.css', 'text/css; charset=utf-8'],
    ['icon.svg', 'image/svg+xml'],
    ['uplot.js', 'text/javascript; charset=utf-8'],
    ['uplot.css', 'text/css; charset=utf-8'],
    ['?tab=log#top', 'text/html; charset=utf-8'],
    ['main.js?v=1', 'text/javascript; charset=utf-8'],
  ])('gives `%s` as what it is, loads nothing from elsewhere, and is asked again each time', async (path, type) => {
    const { status, headers } = await fetch((await served()) + path);
    expect([status, headers.get('content-type')]).toEqual([200, type]);
    expect(Object.fromEntries(headers)).toMatchObject({ ...SECURITY, 'cache-control': 'no-cache' });
  });

  it.each<[string, string, number, string, DashboardOptions]>([
    ['has no such file', 'gone.js', 404, 'The dashboard has no such file.', {}],
    ['shows no dead letters', 'dead-letters', 404, 'The dashboard shows no dead letters.', {}],
    ['may not be seen', '', 403, 'You may not see this dashboard.', { authorize: () => false }],
  ])('says in plain text that it %s', async (_, path, status, text, options) => {
    const answer = await fetch((await served(options)) + path);
    expect([answer.status, await answer.text()]).toEqual([status, `${text}\n`]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      ...SECURITY,
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
    });
  });

  it('says in plain text that it changes nothing', async () => {
    const answer = await fetch(await served(), { method: 'POST' });
    expect([answer.status, await answer.text()]).toEqual([405, 'The dashboard is read-only: GET or HEAD.\n']);
  });

  it('lets nothing on the way keep or delay its events', async () => {
    const { headers } = await fetch(`${await served()}events`, { method: 'HEAD' });
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    });
  });

  it('gives dead letters as JSON that no cache keeps', async () => {
    const missing = { name: 'dead', groups: () => throwError(() => new Error('no queue')) };
    const answer = await fetch(`${await served({ deadLetters: [missing] })}dead-letters`);
    expect(await answer.json()).toEqual([{ name: 'dead', error: 'no queue' }]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      ...SECURITY,
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    });
  });

  it.each([
    [{ script: '/p.js' }, '<script src="/p.js" type="module"></script></head>'],
    [{ script: '/p.js?$$' }, '<script src="/p.js?$$" type="module"></script></head>'],
    [{ script: '/p.js', style: '/p.css' }, '<link rel="stylesheet" href="/p.css" /><script src="/p.js"'],
  ])('loads the panel %j and nothing more', async (panel, head) => {
    const [plain, extended] = await Promise.all(
      [await served(), await served({ panel })].map(async (url) => (await fetch(url)).text()),
    );
    expect(extended).toContain(head);
    const links = (html = ''): number => html.split('<link ').length;
    expect(links(extended) - links(plain)).toBe('style' in panel ? 1 : 0);
  });

  it('leads to the address with a slash from where it is mounted as middleware, and passes on what is below it', async () => {
    const handler = dashboard(newQueue());
    const url = await serve((request, response) => {
      const originalUrl = request.url ?? '';
      request.url = originalUrl.replace(/^\/queue/, '') || '/';
      if (!originalUrl.startsWith('/queue')) response.writeHead(418).end();
      else handler(Object.assign(request, { originalUrl }), response, () => response.writeHead(299).end());
    });
    const ask = async (path: string): Promise<unknown[]> => {
      const { status, headers } = await fetch(url + path, { redirect: 'manual' });
      return [status, headers.get('location')];
    };
    expect(await ask('queue')).toEqual([302, './queue/']);
    expect(await ask('queue?tab=log')).toEqual([302, './queue/']);
    expect(await ask('queue/')).toEqual([200, null]);
    expect(await ask('queue/main.js')).toEqual([200, null]);
    expect(await ask('queue/orders')).toEqual([299, null]);
    expect(await ask('queue/other/')).toEqual([299, null]);
  });

  it.each<[string, unknown]>([
    ['deadLetters', { deadLetters: {} }],
    ['deadLetters', { deadLetters: [null] }],
    ['deadLetters', { deadLetters: ['dead'] }],
    ['deadLetters', { deadLetters: [...deadLetters, { name: 'dead' }] }],
    ['deadLetters', { deadLetters: [{ name: 'dead', groups: [] }] }],
    ['panel', { panel: '/p.js' }],
    ['panel', { panel: { script: 7 } }],
    ['panel', { panel: { script: '/p.js', style: 7 } }],
  ])('refuses a wrong `%s`, and says what it takes: %j', (option, options) => {
    const made = (): unknown => dashboard(newQueue(), options as DashboardOptions);
    expect(made).toThrow(OptionsError);
    expect(made).toThrow(
      option === 'panel'
        ? 'Expected `panel` to be an object with a `script`, and perhaps a `style`'
        : 'Expected `deadLetters` to be a list of what `deadLetters(queue, name)` returns',
    );
  });

  it('names itself when it refuses an option', () => {
    const made = (): unknown => dashboard(newQueue(), { tittle: 'billing' } as DashboardOptions);
    expect(made).toThrow('Unknown option `tittle` for dashboard(). Did you mean `title`?');
  });
});

describe('the events of the dashboard', () => {
  it('begin with the pace of reconnecting; a comment each 15 s keeps the connection', async () => {
    const queue = newQueue();
    const url = await serve(dashboard(queue, { title: 'billing' }));
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    let text = '';
    const asked = get(`${url}events`, { agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    });
    asked.on('error', () => undefined);
    const seen = async (part: string): Promise<void> => {
      while (!text.includes(part)) await new Promise((resolve) => setImmediate(resolve));
    };
    await seen('event: present');
    expect(text).toMatch(/^retry: 1000\n\nevent: present\ndata: \{"title":"billing",/);
    expect(text).not.toContain('\n:\n\n');
    jest.advanceTimersByTime(15_000);
    await seen('\n:\n\n');
    expect(text).toContain('event: sample');
    asked.destroy();
    while (jest.getTimerCount() > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('are cut off where nobody reads them, and take no more memory and no timer then', async () => {
    jest.useFakeTimers();
    const queue = newQueue();
    const timers = jest.getTimerCount();
    const response = unread(queue);
    await jest.advanceTimersByTimeAsync(1000);
    expect(response.destroyed).toBe(false);
    while (!response.destroyed && response.writableLength < 2 ** 22) jest.advanceTimersByTime(60_000);
    expect(response.destroyed).toBe(true);
    expect(response.writableLength).toBeGreaterThan(2 ** 20);
    expect(response.writableLength).toBeLessThan(2 ** 20 + 2 ** 16);
    response.emit('close');
    expect(jest.getTimerCount()).toBe(timers);
  });

  it('do not begin for a page that has gone while it waited to be let in', async () => {
    jest.useFakeTimers();
    const queue = newQueue();
    const timers = jest.getTimerCount();
    const response = unread(queue);
    response.destroy();
    await jest.advanceTimersByTimeAsync(0);
    expect(jest.getTimerCount()).toBe(timers);
  });
});
