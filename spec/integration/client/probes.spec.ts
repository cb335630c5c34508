import { InstanceQueue } from 'instance-queue';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { probes, type ProbesOptions } from 'instance-queue/health';
import { closing } from '../../support/closing';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { until } from '../../support/waiting';

const given = proxiedFixture();
const { url } = given;

interface Answer {
  readonly statusCode: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Starts a server with the handler, and gives a function that sends it a request. */
async function serve(client: InstanceQueue, options?: ProbesOptions) {
  const server = createServer(probes(client, options));
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

test('a service without a connection is alive but not ready, and the answer says which part and why', async () => {
  const { bystander, newClient, proxy } = given;
  const client = newClient({ reconnect: { min: 10, max: 50 } });
  const ask = await serve(client);
  expect(await ask('/ready')).toMatchObject({ statusCode: 503 });

  const queue = await bystander.declareQueue();
  client.consume({ queue }).subscribe();
  await client.send({ queue, body: 1 });
  await until(client.health$, ({ status }) => status === 'up');
  const ready = await ask('/ready');
  expect(ready).toMatchObject({ statusCode: 200, headers: { 'cache-control': 'no-store' } });
  expect(JSON.parse(ready.text)).toMatchObject({ ready: true, reasons: [] });

  proxy.refuse();
  proxy.cut();
  await until(client.health$, ({ connections }) => connections.consumer.status === 'reconnecting');
  const away = await ask('/ready?verbose');
  expect(away.statusCode).toBe(503);
  expect(JSON.parse(away.text)).toMatchObject({
    ready: false,
    reasons: expect.arrayContaining([
      expect.objectContaining({ of: 'connection', role: 'consumer', status: 'reconnecting' }),
      expect.objectContaining({ of: 'consumer', queue, status: 'detached' }),
    ]) as unknown,
  });
  expect(await ask('/live')).toMatchObject({ statusCode: 200, text: '{"alive":true}' });

  await proxy.restore();
  await until(client.health$, ({ status }) => status === 'up');
  expect(await ask('/ready')).toMatchObject({ statusCode: 200 });
});

test('an answer holds no credentials, even if they are wrong', async () => {
  const wrong = new URL(url);
  wrong.username = 'somebody';
  wrong.password = 'a-wrong-secret';
  const client = closing(new InstanceQueue(wrong.href));
  const ask = await serve(client);
  await client.connect().catch(() => undefined);
  // It rejects when the first connection is refused.
  await until(client.state$, ({ producer, consumer }) => producer.status === 'closed' && consumer.status === 'closed');
  const { statusCode, text } = await ask('/ready');
  expect(statusCode).toBe(503);
  expect(JSON.parse(text)).toMatchObject({ reasons: [{ status: 'closed', replyCode: 403 }, {}] });
  expect(text).not.toMatch(/a-wrong-secret|amqp:/);
});

test('a probe connects a client that is unused yet, so that a service that only publishes becomes ready', async () => {
  const client = given.newClient();
  const ask = await serve(client);
  expect(await ask('/live')).toMatchObject({ statusCode: 200 });
  expect(client.state.producer.status).toBe('disconnected');
  expect(JSON.parse((await ask('/ready')).text)).toMatchObject({ ready: false, status: 'degraded' });
  await until(client.health$, ({ status }) => status === 'up');
  expect(await ask('/ready')).toMatchObject({ statusCode: 200 });
});

test('a probe opens no further connection of a client in use', async () => {
  const { bystander, newClient } = given;
  const client = newClient();
  const ask = await serve(client);
  client.consume({ queue: await bystander.declareQueue() }).subscribe();
  await until(client.health$, ({ status }) => status === 'up');
  expect(await ask('/ready')).toMatchObject({ statusCode: 200 });
  expect(client.state.producer.status).toBe('disconnected');
});

test('with `connect: false` a probe opens nothing, and the answer says so', async () => {
  const client = given.newClient();
  const ask = await serve(client, { connect: false });
  const { statusCode, text } = await ask('/ready');
  expect(statusCode).toBe(503);
  expect(JSON.parse(text)).toMatchObject({ status: 'down', reasons: [{ of: 'nothing' }] });
  expect(client.state.producer.status).toBe('disconnected');
});

test('a probe of a client that is closed or was refused answers with 503', async () => {
  const wrong = Object.assign(new URL(url), { username: 'somebody', password: 'else' });
  const refused = closing(new InstanceQueue(wrong.href));
  const askRefused = await serve(refused);
  await askRefused('/ready');
  await until(refused.health$, ({ connections }) => connections.producer.status === 'closed');
  expect(await askRefused('/ready')).toMatchObject({ statusCode: 503 });
  const closed = given.newClient();
  const askClosed = await serve(closed);
  await closed.close();
  expect(await askClosed('/ready')).toMatchObject({ statusCode: 503 });
});

test('other paths and methods are answered with 404 and 405', async () => {
  const client = given.newClient();
  const ask = await serve(client, { ready: '/readyz', live: '/livez' });
  expect(await ask('/ready')).toMatchObject({ statusCode: 404 });
  expect(await ask('/livez', 'HEAD')).toMatchObject({ statusCode: 200, text: '' });
  expect(await ask('/livez', 'POST')).toMatchObject({ statusCode: 405, headers: { allow: 'GET, HEAD' } });
  expect(() => probes(client, { ready: '/live' })).toThrow('another path than `ready`');
  expect(() => probes(client, { live: 'live' })).toThrow('a path that begins with /');
});

test('as middleware it passes other requests on', async () => {
  const client = given.newClient();
  const probe = probes(client);
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
