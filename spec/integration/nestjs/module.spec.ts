import 'reflect-metadata';
import { Controller, Get, Inject, Module, type Provider } from '@nestjs/common';
import { HealthCheckService, TerminusModule, type HealthCheckResult } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { InstanceQueue, OptionsError, type Message } from 'instance-queue';
import {
  getInstanceQueueToken,
  InjectInstanceQueue,
  InstanceQueueHealthIndicator,
  InstanceQueueModule,
  Subscribe,
  type InstanceQueueModuleOptions,
} from 'instance-queue/nestjs';
import { FaultProxy } from 'instance-queue/testing';
import { freePort } from '../../../compose/ports';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { startChild } from '../../support/child';
import { closeAll, closing } from '../../support/closing';
import { eventually, until } from '../../support/waiting';

const { url } = sharedBroker();
let name: string;
let bystander: Bystander;
beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  name = await bystander.declareQueue();
});
afterEach(closeAll);

async function start(
  imports: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']>,
  providers: Provider[] = [],
) {
  const module = await Test.createTestingModule({ imports, providers }).compile();
  module.useLogger(false);
  const app = module.createNestApplication();
  await app.init();
  closing({ close: () => app.close() });
  return app;
}
const silent = (options: Partial<InstanceQueueModuleOptions> = {}): InstanceQueueModuleOptions => ({
  url,
  logger: 'silent',
  ...options,
});

describe('InstanceQueueModule', () => {
  it('provides one InstanceQueue to all, by its class or by a decorator, connects it, and closes it with the application', async () => {
    class Orders {
      constructor(
        @Inject(InstanceQueue) readonly one: InstanceQueue,
        @InjectInstanceQueue() readonly other: InstanceQueue,
      ) {}
    }
    @Module({ providers: [Orders], exports: [Orders] })
    class OrdersModule {
      readonly isModule = true;
    }
    const app = await start([InstanceQueueModule.forRoot(silent()), OrdersModule]);
    const { one, other } = app.get(Orders);
    expect(one).toBe(other);
    expect(app.get(InstanceQueue)).toBe(one);
    // A service that only publishes is ready, too.
    await until(one.health$, ({ status }) => status === 'up');
    await app.close();
    expect(one.state).toMatchObject({ producer: { status: 'closed' }, consumer: { status: 'closed' } });
  });

  it('runs methods with @Subscribe on the InstanceQueue that they name', async () => {
    const seen: unknown[] = [];
    const other = await bystander.declareQueue();
    class Orders {
      @Subscribe<number>({ queue: name })
      first({ body }: Message<number>): void {
        seen.push(['first', body]);
      }
      @Subscribe<number>({ queue: other, connection: 'audit' })
      second({ body }: Message<number>): void {
        seen.push(['second', body]);
      }
    }
    const app = await start(
      [InstanceQueueModule.forRoot(silent()), InstanceQueueModule.forRoot(silent({ name: 'audit' }))],
      [Orders],
    );
    const [one, audit] = [
      app.get<InstanceQueue>(InstanceQueue),
      app.get<InstanceQueue>(getInstanceQueueToken('audit')),
    ];
    await one.send({ queue: name, body: 1 });
    await audit.send({ queue: other, body: 2 });
    await eventually(() => seen.length === 2);
    expect(seen).toEqual(
      expect.arrayContaining([
        ['first', 1],
        ['second', 2],
      ]),
    );
    expect(one.metrics.delivered).toBe(1);
    expect(audit.metrics.delivered).toBe(1);
  });

  it('gets its options from a factory with dependencies', async () => {
    @Module({ providers: [{ provide: 'config', useValue: { url } }], exports: ['config'] })
    class ConfigModule {
      readonly isModule = true;
    }
    const app = await start([
      InstanceQueueModule.forRootAsync({
        name: 'audit',
        imports: [ConfigModule],
        inject: ['config'],
        useFactory: async (config: { url: string }) => {
          await Promise.resolve();
          return { url: config.url, logger: 'silent', connectionName: 'shown' };
        },
      }),
    ]);
    const queue = app.get<InstanceQueue>(getInstanceQueueToken('audit'));
    const { confirmed } = { confirmed: await queue.send({ queue: name, body: 1 }) };
    expect(confirmed.attempts).toBe(1);
  });

  it('refuses wrong options when the application starts', async () => {
    const refused = start([InstanceQueueModule.forRoot(silent({ heartbeat: -1 }))]);
    await expect(refused).rejects.toBeInstanceOf(OptionsError);
  });

  it('starts while the broker is away, and is closed at once', async () => {
    const app = await start([InstanceQueueModule.forRoot(silent({ url: `amqp://127.0.0.1:${await freePort()}` }))]);
    const queue = app.get(InstanceQueue);
    expect(queue.state.producer.status).not.toBe('connected');
    const before = performance.now();
    await app.close();
    expect(performance.now() - before).toBeLessThan(1000);
  });

  it('waits with `waitUntilUp` until everything is attached', async () => {
    class Orders {
      @Subscribe({ queue: name })
      ship(): void {
        // Nothing.
      }
    }
    const app = await start([InstanceQueueModule.forRoot(silent({ waitUntilUp: true }))], [Orders]);
    expect(app.get(InstanceQueue).health).toMatchObject({ status: 'up', consumers: [{ status: 'attached' }] });
  });

  it('fails to start with `waitUntilUp` if the broker refuses something for good', async () => {
    class Orders {
      @Subscribe({ queue: { name, type: 'quorum' } })
      ship(): void {
        // Nothing.
      }
    }
    const module = await Test.createTestingModule({
      imports: [InstanceQueueModule.forRoot(silent({ waitUntilUp: true }))],
      providers: [Orders],
    }).compile();
    module.useLogger(false);
    await expect(module.init()).rejects.toMatchObject({ replyCode: 406 });
    expect(module.get(InstanceQueue).state.consumer.status).toBe('closed');
  });

  it('logs with Nest’s logger: messages with their facts, and refusals with their method', async () => {
    const lines: unknown[][] = [];
    const write =
      (level: string) =>
      (...args: unknown[]): void =>
        void lines.push([level, ...args]);
    const logger = { log: write('log'), warn: write('warn'), error: write('error'), debug: write('debug') };
    class Orders {
      @Subscribe({ queue: { name, type: 'quorum' } })
      ship(): void {
        // Nothing.
      }
    }
    const module = await Test.createTestingModule({
      imports: [InstanceQueueModule.forRoot({ url })],
      providers: [Orders],
    })
      .setLogger(logger)
      .compile();
    closing({ close: () => module.close() });
    await module.init();
    await eventually(() => lines.some(([level, line]) => level === 'error' && line === 'Orders.ship consumes no more'));
    expect(lines).toContainEqual([
      'log',
      expect.stringMatching(/^connected connection=instance-queue\.(producer|consumer) epoch=1 endpoint=\S+$/),
      'InstanceQueue',
    ]);
  });
});

describe('InstanceQueueHealthIndicator', () => {
  it('is up with the InstanceQueue, and says what is missing', async () => {
    const proxy = closing(await FaultProxy.before(url));
    @Controller()
    class HealthController {
      constructor(
        @Inject(HealthCheckService) private readonly health: HealthCheckService,
        @Inject(InstanceQueueHealthIndicator) private readonly rabbitmq: InstanceQueueHealthIndicator,
      ) {}
      @Get('health')
      check(): Promise<HealthCheckResult> {
        return this.health.check([() => this.rabbitmq.isHealthy('rabbitmq')]);
      }
    }
    @Module({ imports: [TerminusModule.forRoot({ logger: false })], controllers: [HealthController] })
    class HealthModule {
      readonly isModule = true;
    }
    const app = await start([
      InstanceQueueModule.forRoot(silent({ url: proxy.url(url), waitUntilUp: true })),
      HealthModule,
    ]);
    const controller = app.get(HealthController);
    expect(await controller.check()).toMatchObject({
      status: 'ok',
      info: { rabbitmq: { status: 'up', health: 'up', reasons: [] } },
    });
    proxy.refuse();
    proxy.cut();
    await until(app.get(InstanceQueue).health$, ({ status }) => status !== 'up');
    await expect(controller.check()).rejects.toMatchObject({
      status: 503,
      response: {
        status: 'error',
        error: { rabbitmq: { status: 'down', health: 'degraded', reasons: expect.any(Array) as unknown } },
      },
    });
    const indicator = app.get(InstanceQueueHealthIndicator);
    expect(indicator.isHealthy('queue', { from: 'degraded' })).toMatchObject({ queue: { status: 'up' } });
    expect(() => indicator.isHealthy('queue', { connection: 'typo' })).toThrow();
  });
});

test('SIGTERM drains the handlers before `beforeApplicationShutdown` closes what they use, and settles what they did', async () => {
  const child = startChild('spec/integration/nestjs/shutdown.program.ts', [url, name]);
  await child.says('up');
  await bystander.put(name, 1);
  await child.says('begun');
  child.signal('SIGTERM');
  const { stdout, signal } = await child.ended;
  expect(
    stdout
      .trim()
      .split('\n')
      .filter((line) => line !== 'up'),
  ).toEqual(['begun', 'ended', 'database closed', 'shut down by SIGTERM']);
  // Nest ends the process with the signal that it was sent.
  expect(signal).toBe('SIGTERM');
  expect(await bystander.takeAll(name)).toEqual([]);
});
