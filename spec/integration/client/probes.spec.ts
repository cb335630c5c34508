import { InstanceQueue } from 'instance-queue';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FaultProxy } from 'instance-queue/testing';
import { probes, type ProbesOptions } from 'instance-queue/health';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { until } from '../../support/waiting';

const { url } = sharedBroker();
afterEach(closeAll);

interface Answer {
  readonly statusCode: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A server with the handler; asks it. */
async function serving(queue: InstanceQueue, options?: ProbesOptions) {
  const server = createServer(probes(queue, options));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  closing({ close: () => new Promise((resolve) => server.close(resolve)) });
  return (path: string, method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asking = request({ host: '127.0.0.1', port, path, method, agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ statusCode: response.statusCode, headers: response.headers, text }));
      });
      asking.on('error', reject).end();
    });
}

test('a broker that is away makes a service not ready, says which part and why, and leaves it alive', async () => {
  const bystander = closing(await Bystander.at(url));
  const proxy = closing(await FaultProxy.before(url));
  const queue = closing(new InstanceQueue({ url: proxy.url(url), reconnect: { min: 10, max: 50 } }));
  const ask = await serving(queue);
  expect(await ask('/ready')).toMatchObject({ statusCode: 503 });

  const name = await bystander.declareQueue();
  queue.consume({ queue: name }).subscribe();
  await queue.send({ queue: name, body: 1 });
  await until(queue.health$, ({ status }) => status === 'up');
  const ready = await ask('/ready');
  expect(ready).toMatchObject({ statusCode: 200, headers: { 'cache-control': 'no-store' } });
  expect(JSON.parse(ready.text)).toMatchObject({ ready: true, reasons: [] });

  proxy.refuse();
  proxy.cut();
  await until(queue.health$, ({ connections }) => connections.consumer.status === 'reconnecting');
  const away = await ask('/ready?verbose');
  expect(away.statusCode).toBe(503);
  expect(JSON.parse(away.text)).toMatchObject({
    ready: false,
    reasons: expect.arrayContaining([
      expect.objectContaining({ of: 'connection', role: 'consumer', status: 'reconnecting' }),
      expect.objectContaining({ of: 'consumer', queue: name, status: 'detached' }),
    ]) as unknown,
  });
  expect(await ask('/live')).toMatchObject({ statusCode: 200, text: '{"alive":true}' });

  await proxy.restore();
  await until(queue.health$, ({ status }) => status === 'up');
  expect(await ask('/ready')).toMatchObject({ statusCode: 200 });
});

test('an answer holds no credentials, also when they are what is wrong', async () => {
  const wrong = new URL(url);
  wrong.username = 'somebody';
  wrong.password = 'a-wrong-secret';
  const queue = closing(new InstanceQueue(wrong.href));
  const ask = await serving(queue);
  await queue.connect().catch(() => undefined);
  // It rejects with the first of the two.
  await until(queue.state$, ({ producer, consumer }) => producer.status === 'closed' && consumer.status === 'closed');
  const { statusCode, text } = await ask('/ready');
  expect(statusCode).toBe(503);
  expect(JSON.parse(text)).toMatchObject({ reasons: [{ status: 'closed', replyCode: 403 }, {}] });
  expect(text).not.toMatch(/a-wrong-secret|amqp:/);
});

test('a service that only publishes becomes ready by being asked, before its first message', async () => {
  const queue = closing(new InstanceQueue(url));
  const ask = await serving(queue);
  expect(await ask('/live')).toMatchObject({ statusCode: 200 });
  expect(queue.state.producer.status).toBe('disconnected');
  expect(JSON.parse((await ask('/ready')).text)).toMatchObject({ ready: false, status: 'degraded' });
  await until(queue.health$, ({ status }) => status === 'up');
  expect(await ask('/ready')).toMatchObject({ statusCode: 200 });
});

test('a service that has begun to use its queue opens nothing else for being asked', async () => {
  const bystander = closing(await Bystander.at(url));
  const queue = closing(new InstanceQueue(url));
  const ask = await serving(queue);
  queue.consume({ queue: await bystander.declareQueue() }).subscribe();
  await until(queue.health$, ({ status }) => status === 'up');
  expect(await ask('/ready')).toMatchObject({ statusCode: 200 });
  expect(queue.state.producer.status).toBe('disconnected');
});

test('with `connect: false` nothing is opened, and the answer says what would open it', async () => {
  const queue = closing(new InstanceQueue(url));
  const ask = await serving(queue, { connect: false });
  const { statusCode, text } = await ask('/ready');
  expect(statusCode).toBe(503);
  expect(JSON.parse(text)).toMatchObject({ status: 'down', reasons: [{ of: 'nothing' }] });
  expect(queue.state.producer.status).toBe('disconnected');
});

test('a probe of a queue that is closed, or was refused, answers and disturbs nobody', async () => {
  const wrong = Object.assign(new URL(url), { username: 'somebody', password: 'else' });
  const refused = closing(new InstanceQueue(wrong.href));
  const askRefused = await serving(refused);
  await askRefused('/ready');
  await until(refused.health$, ({ connections }) => connections.producer.status === 'closed');
  expect(await askRefused('/ready')).toMatchObject({ statusCode: 503 });
  const closed = new InstanceQueue(url);
  const askClosed = await serving(closed);
  await closed.close();
  expect(await askClosed('/ready')).toMatchObject({ statusCode: 503 });
});

test('other paths and methods are told so, and passed on to whoever comes next', async () => {
  const queue = closing(new InstanceQueue(url));
  const ask = await serving(queue, { ready: '/readyz', live: '/livez' });
  expect(await ask('/ready')).toMatchObject({ statusCode: 404 });
  expect(await ask('/livez', 'HEAD')).toMatchObject({ statusCode: 200, text: '' });
  expect(await ask('/livez', 'POST')).toMatchObject({ statusCode: 405, headers: { allow: 'GET, HEAD' } });
  expect(() => probes(queue, { ready: '/live' })).toThrow('another path than `ready`');
  expect(() => probes(queue, { live: 'live' })).toThrow('a path that begins with /');
});

test('as middleware it passes on what it has no answer to', async () => {
  const queue = closing(new InstanceQueue(url));
  const probe = probes(queue);
  const server = createServer((incoming, response) => {
    probe(incoming, response, () => response.end('the app'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({ close: () => new Promise((resolve) => server.close(resolve)) });
  const { port } = server.address() as AddressInfo;
  const text = await fetch(`http://127.0.0.1:${String(port)}/orders`, { headers: { connection: 'close' } }).then((r) =>
    r.text(),
  );
  expect(text).toBe('the app');
});
