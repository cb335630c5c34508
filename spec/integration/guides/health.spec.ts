import 'reflect-metadata';
import type { INestApplication, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { Express } from 'express';
import type { FastifyInstance } from 'fastify';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InstanceQueue } from 'instance-queue';
import { closing } from '../../support/closing';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { runRecipe } from '../../support/guides/run-recipe';
import { until } from '../../support/waiting';

const GUIDE = 'demo/guides/health.md';
const given = proxiedFixture();

interface Answer {
  readonly statusCode: number | undefined;
  readonly body: unknown;
}
type Ask = (path: string) => Promise<Answer>;

/** Sends requests as a kubelet does: each on its own connection. */
const asking =
  (base: string): Ask =>
  (path) =>
    new Promise((resolve, reject) => {
      get(`${base}${path}`, { agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ statusCode: response.statusCode, body: JSON.parse(text) as unknown }));
      }).on('error', reject);
    });

async function listening(server: Server): Promise<Ask> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({ close: () => new Promise((resolve) => server.close(resolve)) });
  return asking(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function express(queue: InstanceQueue): Promise<Ask> {
  const { expressApp } = await runRecipe<{ expressApp(queue: InstanceQueue): Express }>(GUIDE, 'express()');
  return listening(createServer(expressApp(queue)));
}

async function fastify(queue: InstanceQueue): Promise<Ask> {
  const { fastifyApp } = await runRecipe<{ fastifyApp(queue: InstanceQueue): FastifyInstance }>(GUIDE, 'fastify()');
  const app = fastifyApp(queue);
  closing({ close: () => app.close() });
  return asking(await app.listen({ port: 0, host: '127.0.0.1' }));
}

async function nest(queue: InstanceQueue): Promise<Ask> {
  const { HealthController } = await runRecipe<{ HealthController: Type }>(GUIDE, '@Controller()');
  const module = await Test.createTestingModule({
    controllers: [HealthController],
    providers: [{ provide: InstanceQueue, useValue: queue }],
  }).compile();
  module.useLogger(false);
  const app: INestApplication = closing(module.createNestApplication());
  await app.listen(0, '127.0.0.1');
  return asking(await app.getUrl());
}

describe.each([
  ['Express', express],
  ['Fastify', fastify],
  ['Nest', nest],
])('the health checks of the guide, in %s,', (_name, serve) => {
  it('are ready while connected to the broker, not ready without it, and always alive', async () => {
    const { bystander, newClient, proxy } = given;
    const client = newClient({ reconnect: { min: 10, max: 50 } });
    const ask = await serve(client);
    expect(await ask('/ready')).toMatchObject({
      statusCode: 503,
      body: { ready: false, reasons: [{ of: 'nothing' }] },
    });

    client.consume({ queue: await bystander.declareQueue() }).subscribe();
    await until(client.health$, ({ status }) => status === 'up');
    expect(await ask('/ready')).toMatchObject({ statusCode: 200, body: { ready: true, status: 'up' } });

    proxy.refuse();
    proxy.cut();
    await until(client.health$, ({ status }) => status === 'degraded');
    const away = await ask('/ready');
    expect(away).toMatchObject({ statusCode: 503, body: { ready: false, status: 'degraded' } });
    expect(JSON.stringify(away.body)).toContain('"of":"consumer"');
    expect(await ask('/live')).toEqual({ statusCode: 200, body: { alive: true } });

    await proxy.restore();
    await until(client.health$, ({ status }) => status === 'up');
    expect(await ask('/ready')).toMatchObject({ statusCode: 200 });
  });
});
