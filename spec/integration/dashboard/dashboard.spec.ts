import { createServer, get, request, type IncomingMessage, type RequestOptions } from 'node:http';
import { Test } from '@nestjs/testing';
import type { Express } from 'express';
import type { FastifyInstance } from 'fastify';
import { handle, InstanceQueue, OptionsError } from 'instance-queue';
import { dashboard, type DashboardOptions } from 'instance-queue/dashboard';
import { FakeInstanceQueue, FaultProxy } from 'instance-queue/testing';
import type { INestApplication } from '@nestjs/common';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';
import { runRecipe } from '../../support/guides/run-recipe';
import { eventually, until } from '../../support/waiting';

const GUIDE = 'demo/guides/dashboard.md';
const { url } = sharedBroker();
afterEach(closeAll);

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

function ask(address: string, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request(address, { agent: false, ...options }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    })
      .on('error', reject)
      .end();
  });
}

/** What a page is sent. */
interface Feed {
  readonly events: [name: string, data: unknown][];
  readonly ended: () => boolean;
  leave(): void;
}
function follow(address: string): Promise<Feed> {
  return new Promise((resolve, reject) => {
    const events: Feed['events'] = [];
    let [rest, ended] = ['', false];
    const asked = get(`${address}events`, { agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => {
        const blocks = (rest + chunk.toString()).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
          if (name !== undefined) events.push([name, JSON.parse(data!) as unknown]);
        }
      });
      response.on('close', () => (ended = true));
      resolve({ events, ended: () => ended, leave: () => asked.destroy() });
    });
    asked.on('error', (error) => (ended ? undefined : reject(error)));
  });
}
const named = ({ events }: Feed, name: string): unknown[] =>
  events.flatMap(([one, data]) => (one === name ? [data] : []));

const plain = (queue: InstanceQueue, options?: DashboardOptions): Promise<string> =>
  listening(createServer(dashboard(queue, options))).then((base) => `${base}/`);

/** Each gives the address of the page. */
const places: Record<string, (queue: InstanceQueue) => Promise<string>> = {
  'node:http': plain,
  Express: async (queue) => {
    const { expressApp } = await runRecipe<{ expressApp(queue: InstanceQueue): Express }>(GUIDE, 'express()');
    return `${await listening(createServer(expressApp(queue)))}/queue/`;
  },
  Fastify: async (queue) => {
    const { fastifyApp } = await runRecipe<{ fastifyApp(queue: InstanceQueue): FastifyInstance }>(GUIDE, 'fastify(');
    const app = fastifyApp(queue);
    closing({ close: () => app.close() });
    return `${await app.listen({ port: 0, host: '127.0.0.1' })}/queue/`;
  },
  Nest: async (queue) => {
    const { mountDashboard } = await runRecipe<{ mountDashboard(app: INestApplication): void }>(
      GUIDE,
      'mountDashboard',
    );
    const module = await Test.createTestingModule({
      providers: [{ provide: InstanceQueue, useFactory: () => queue }],
    }).compile();
    module.useLogger(false);
    const app: INestApplication = closing(module.createNestApplication());
    mountDashboard(app);
    await app.listen(0, '127.0.0.1');
    return `${await app.getUrl()}/queue/`;
  },
};

describe.each(Object.entries(places))('in %s', (name, mount) => {
  it('the page and everything that it names are there, wherever it is mounted', async () => {
    const address = await mount(closing(new FakeInstanceQueue()));
    const page = await ask(address);
    expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } });
    const parts = [...page.text.matchAll(/(?:href|src)="([\w.]+)"/g)].map(([, part]) => part!);
    expect(parts).toEqual(expect.arrayContaining(['main.js', 'theme.css', 'uplot.js', 'icon.svg']));
    for (const part of parts) expect([part, (await ask(address + part)).status]).toEqual([part, 200]);
    expect((await ask(`${address}gone.js`)).status).toBe(404);
  });

  it('it follows a queue through an outage, and ends with it', async () => {
    const side = closing(await Bystander.at(url));
    const proxy = closing(await FaultProxy.before(url));
    const queue = closing(new InstanceQueue({ url: proxy.url(url), reconnect: { min: 10, max: 50 } }));
    const address = await mount(queue);
    const orders = await side.declareQueue();
    queue
      .consume({ queue: orders })
      .pipe(handle(() => undefined))
      .subscribe();
    await queue.send({ queue: orders, body: 'a secret body' });
    await until(queue.health$, ({ status }) => status === 'up');

    const feed = await follow(address);
    await eventually(() => named(feed, 'sample').length > 0);
    expect(feed.events[0]).toMatchObject(['present', { title: 'instance-queue', health: { status: 'up' } }]);
    proxy.cut();
    await eventually(() => JSON.stringify(named(feed, 'spans')).includes('"name":"reconnecting"'));
    await eventually(() => named(feed, 'health').some((health) => (health as { status: string }).status === 'up'));
    await eventually(() => JSON.stringify(named(feed, 'log')).includes('"connection lost: reconnecting"'));
    await eventually(() => JSON.stringify(named(feed, 'log')).includes('"consumer attached"'));

    await queue.close();
    await eventually(feed.ended);
    expect(feed.events.at(-1)).toEqual(['end', null]);
    const sent = JSON.stringify(feed.events);
    expect(sent).not.toContain('secret body');
    const { username, password } = new URL(url);
    expect(sent).not.toContain(`${username}:${password}`);
    if (name === 'node:http') {
      const late = await follow(address);
      await eventually(late.ended);
      expect(late.events.map(([event]) => event)).toEqual(['present', 'end']);
    }
  });
});

describe('it is read-only:', () => {
  it.each(['POST', 'PUT', 'DELETE', 'PATCH'])('%s is answered with 405', async (method) => {
    const address = await plain(closing(new FakeInstanceQueue()));
    for (const path of ['', 'events', 'main.js'])
      expect(await ask(address + path, { method })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  });

  it('HEAD is answered without content, also for the events', async () => {
    const address = await plain(closing(new FakeInstanceQueue()));
    for (const path of ['', 'events', 'main.js'])
      expect(await ask(address + path, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });
});

describe('authorize', () => {
  const refusals: Record<string, DashboardOptions['authorize']> = {
    'says no': () => false,
    'says no later': () => Promise.resolve(false),
    throws: () => {
      throw new Error('no such session');
    },
    rejects: () => Promise.reject(new Error('no such session')),
  };
  it.each(Object.entries(refusals))(
    'that %s answers 403 to everything, and tells nothing',
    async (_name, authorize) => {
      const address = await plain(closing(new FakeInstanceQueue()), { authorize: authorize! });
      for (const path of ['', 'events', 'main.js']) {
        const { status, text } = await ask(address + path);
        expect([status, text]).toEqual([403, 'You may not see this dashboard.\n']);
      }
    },
  );

  it('sees the request, as the guide shows', async () => {
    const { guarded } = await runRecipe<{
      guarded(queue: InstanceQueue, isAdmin: (cookie: string) => Promise<boolean>): ReturnType<typeof dashboard>;
    }>(GUIDE, 'guarded');
    const isAdmin = (cookie: string): Promise<boolean> => Promise.resolve(cookie === 'session=abc');
    const base = await listening(createServer(guarded(closing(new FakeInstanceQueue()), isAdmin)));
    expect((await ask(`${base}/`)).status).toBe(403);
    expect((await ask(`${base}/`, { headers: { cookie: 'session=abc' } })).status).toBe(200);
  });
});

describe('where it is mounted', () => {
  it('without a slash at the end, it leads to the address with one', async () => {
    for (const [name, mount] of Object.entries(places).filter(([name]) => name !== 'Fastify')) {
      const address = await mount(closing(new FakeInstanceQueue()));
      const without = name === 'node:http' ? `${address}queue` : address.slice(0, -1);
      const { status, headers } = await ask(without);
      expect([name, status, new URL(headers.location!, without).href]).toEqual([name, 302, `${without}/`]);
    }
  });

  it('as middleware, it passes on what is not for it', async () => {
    const handler = dashboard(closing(new FakeInstanceQueue()));
    const base = await listening(
      createServer((incoming, response) => handler(incoming, response, () => response.writeHead(299).end())),
    );
    expect((await ask(`${base}/orders`)).status).toBe(299);
    expect((await ask(`${base}/a/main.js`)).status).toBe(299);
    expect((await ask(`${base}/main.js`)).status).toBe(200);
  });

  it('it loads the panel it is given, whatever its address holds', async () => {
    const panel = { script: '/p.js?a="<b>&c', style: '/p.css' };
    const { text } = await ask(await plain(closing(new FakeInstanceQueue()), { panel }));
    expect(text).toContain('<script src="/p.js?a=&quot;&lt;b>&amp;c" type="module"></script>');
    expect(text).toContain('<link rel="stylesheet" href="/p.css" />');
    expect(text).toContain('<aside id="panel">');
  });

  it.each([
    ['title', { title: 7 }],
    ['authorize', { authorize: true }],
    ['panel', { panel: { style: '/p.css' } }],
    ['pannel', { pannel: {} }],
  ])('it refuses a wrong %s at once', (option, options) => {
    const queue = closing(new FakeInstanceQueue());
    expect(() => dashboard(queue, options as DashboardOptions)).toThrow(OptionsError);
    expect(() => dashboard(queue, options as DashboardOptions)).toThrow(option);
  });
});

describe('while no page is open', () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

  it('it has no timer and reads no metrics; with pages it reads them twice a second, however many there are', async () => {
    const queue = closing(new FakeInstanceQueue());
    const metrics = jest.spyOn(queue, 'metrics', 'get');
    const before = timers();
    const address = await plain(queue);
    expect([timers(), metrics.mock.calls.length]).toEqual([before, 0]);

    const feeds = await Promise.all([follow(address), follow(address), follow(address)]);
    await eventually(() => feeds.every((feed) => named(feed, 'sample').length >= 2));
    const most = Math.max(...feeds.map((feed) => named(feed, 'sample').length));
    // Two for a page that opens, and one for each sample.
    expect(metrics.mock.calls.length).toBeLessThanOrEqual(feeds.length * 2 + most + 1);
    for (const feed of feeds) feed.leave();
    // What has no timer does nothing by itself.
    await eventually(() => timers() <= before);
  });
});
