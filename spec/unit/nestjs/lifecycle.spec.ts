import 'reflect-metadata';
import {
  createParamDecorator,
  Inject,
  Injectable,
  Logger,
  Module,
  type LoggerService,
  type Provider,
  type Type,
} from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { InstanceQueue, type Message, OptionsError } from 'instance-queue';
import {
  getInstanceQueueToken,
  InjectInstanceQueue,
  InstanceQueueHealthIndicator,
  InstanceQueueModule,
  type InstanceQueueModuleOptions,
  Subscribe,
} from 'instance-queue/nestjs';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { Subject } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { eventually, rejection } from '../../support/waiting';

afterEach(closeAll);

/** What is logged through Nest: level, words, context. What Nest says itself is left out. */
const lines: unknown[][] = [];
const noting =
  (level: string) =>
  (...words: unknown[]): void => {
    if (String(words.at(-1)).startsWith('InstanceQueue')) lines.push([level, ...words]);
  };
const levels = ['log', 'error', 'warn', 'debug', 'verbose', 'fatal'];
const logger = Object.fromEntries(levels.map((level) => [level, noting(level)])) as unknown as LoggerService;
beforeEach(() => {
  lines.length = 0;
});
afterAll(() => {
  Logger.overrideLogger(true);
});

/** An application of these providers over brokers in memory: one InstanceQueue for each set of options. */
async function built(
  providers: Provider[],
  options: Partial<InstanceQueueModuleOptions>[] = [{}],
  imports: Type[] = [],
) {
  const queues = options.map(() => closing(new FakeInstanceQueue()));
  const testing = Test.createTestingModule({
    imports: [...options.map((one) => InstanceQueueModule.forRoot({ url: 'amqp://localhost', ...one })), ...imports],
    providers,
  });
  options.forEach(({ name }, i) => {
    testing.overrideProvider(getInstanceQueueToken(name)).useValue(queues[i]);
  });
  const module = await testing.setLogger(logger).compile();
  const app = closing(module.createNestApplication());
  const [queue] = queues;
  return { app, module, queues, queue: queue! };
}

class Orders {
  readonly seen: unknown[] = [];
  @Subscribe({ queue: 'orders' })
  ship({ body }: Message<unknown>): void {
    this.seen.push(body);
  }
}

describe('an application', () => {
  it('says so when its connections cannot be opened, and starts all the same', async () => {
    const { app, queue } = await built([Orders]);
    const error = new Error('no route');
    jest.spyOn(queue, 'connect').mockRejectedValue(error);
    await app.init();
    await eventually(() => lines.length > 0);
    expect(lines).toEqual([['error', 'The connections cannot be opened', error, 'InstanceQueue']]);
  });

  it.each([
    [undefined, 'InstanceQueue'],
    ['audit', 'InstanceQueue:audit'],
  ])('says what it left behind, by the name of the InstanceQueue: %s', async (name, context) => {
    const { app, queue } = await built([], [name === undefined ? {} : { name }]);
    await app.init();
    jest.spyOn(queue, 'close').mockResolvedValueOnce({ unsettled: 2, unconfirmed: 3 });
    await app.close();
    expect(lines).toEqual([['warn', 'Closed with 2 deliveries unsettled and 3 messages unconfirmed', context]]);
  });

  it('says nothing when it left nothing behind', async () => {
    const { app } = await built([Orders]);
    await app.init();
    await app.close();
    expect(lines).toEqual([]);
  });

  it('says which method consumes no more, and why; the others go on', async () => {
    class Refunds {
      @Subscribe({ queue: 'refunds' }, { onError: 'fail' })
      pay(): void {
        throw new Error('no money');
      }
    }
    const { app, queue } = await built([Orders, Refunds]);
    await app.init();
    await queue.send({ queue: 'refunds', body: 1 });
    await queue.rest();
    expect(lines).toEqual([['error', 'Refunds.pay consumes no more', expect.any(Error), 'InstanceQueue']]);
    await queue.send({ queue: 'orders', body: 1 });
    await queue.rest();
    expect(app.get(Orders).seen).toEqual([1]);
  });

  it('fails to start with `waitUntilUp` when a method cannot consume, and has closed its InstanceQueue then', async () => {
    const { app, queue } = await built([Orders], [{ waitUntilUp: true }]);
    const error = new Error('refused');
    jest.spyOn(queue, 'connect').mockRejectedValue(error);
    expect(await rejection(app.init())).toBe(error);
    expect(queue.state.consumer.status).toBe('closed');
  });

  it('starts with `waitUntilUp` when all is up', async () => {
    const { app, queue } = await built([Orders], [{ waitUntilUp: true }]);
    await app.init();
    expect(queue.health).toMatchObject({ status: 'up', consumers: [{ status: 'attached' }] });
  });

  it('consumes over the InstanceQueue that a method names, and over no other', async () => {
    class Audit {
      readonly seen: unknown[] = [];
      @Subscribe({ queue: 'orders', connection: 'audit' })
      note({ body }: Message<unknown>): void {
        this.seen.push(body);
      }
    }
    const { app, queues } = await built([Orders, Audit], [{}, { name: 'audit' }]);
    await app.init();
    for (const queue of queues) {
      await queue.send({ queue: 'orders', body: queues.indexOf(queue) });
      await queue.rest();
    }
    expect([app.get(Orders).seen, app.get(Audit).seen]).toEqual([[0], [1]]);
  });

  it.each([
    [
      undefined,
      'an InstanceQueue without a name, which no module provides. Import InstanceQueueModule.forRoot({ … }).',
    ],
    [
      'typo',
      "the InstanceQueue `typo`, which no module provides. Import InstanceQueueModule.forRoot({ name: 'typo', … }).",
    ],
  ])('is refused where no module provides the InstanceQueue of a method: %s', async (connection, words) => {
    class Refunds {
      @Subscribe({ queue: 'refunds', ...(connection !== undefined && { connection }) })
      pay(): void {
        // Works on nothing here.
      }
    }
    const { app } = await built([Refunds], [{ name: 'other' }]);
    const refused = await rejection(app.init());
    expect(refused).toBeInstanceOf(OptionsError);
    expect(refused).toMatchObject({
      option: 'connection',
      message: `\`Refunds.pay\` subscribes to ${words}`,
      cause: expect.any(Error) as unknown,
    });
  });

  it('ends a method with its own `until`, and nothing else', async () => {
    const enough$ = new Subject<void>();
    class Some {
      readonly seen: unknown[] = [];
      @Subscribe({ queue: 'some', until: enough$ })
      work({ body }: Message<unknown>): void {
        this.seen.push(body);
      }
    }
    const { app, queue } = await built([Orders, Some]);
    await app.init();
    await queue.send({ queue: 'some', body: 1 });
    await queue.rest();
    enough$.next();
    await queue.rest();
    expect(queue.health.consumers).toMatchObject([{ queueName: 'orders' }]);
    await queue.send({ queue: 'some', body: 2 });
    await queue.rest();
    expect(app.get(Some).seen).toEqual([1]);
    expect(lines).toEqual([]);
  });

  it('ends all methods with itself, those with an `until`, too', async () => {
    class Some {
      @Subscribe({ queue: 'some', until: new Subject<void>() })
      work(): void {
        // Works on nothing here.
      }
    }
    const { app, queue } = await built([Orders, Some]);
    await app.init();
    await queue.rest();
    expect(queue.health.consumers).toHaveLength(2);
    await app.close();
    expect(queue.health.consumers).toEqual([]);
  });

  it('may have values of any kind among its providers', async () => {
    const values = [null, undefined, 'text', 7, Symbol('a'), () => 1, [], {}, Object.create(null), Orders];
    const { app, queue } = await built([
      Orders,
      ...values.map((useValue: unknown, i): Provider => ({ provide: `value ${String(i)}`, useValue })),
      { provide: 'made', useFactory: (): unknown => Object.create(null) },
    ]);
    await app.init();
    await queue.rest();
    expect(queue.health.consumers).toHaveLength(1);
  });
});

it('parameters get the body, a member of it, or the context; what is for another transport gets nothing', async () => {
  const OfRequest = createParamDecorator(() => 'made');
  const seen: unknown[] = [];
  @Injectable()
  class Sums {
    @Subscribe({ queue: 'sums' })
    add(
      @Payload() body: unknown,
      @Payload('a') a: unknown,
      @Payload('') whole: unknown,
      @Ctx() context: { getMessage(): Message<unknown> },
      @OfRequest() custom: unknown,
    ): void {
      seen.push([body, a, whole, context.getMessage().body, custom]);
    }
  }
  const { app, queue } = await built([Sums]);
  await app.init();
  for (const body of [{ a: 1, b: 2 }, 'text', [3], null]) await queue.send({ queue: 'sums', body });
  await queue.rest();
  expect(seen).toEqual([
    [{ a: 1, b: 2 }, 1, { a: 1, b: 2 }, { a: 1, b: 2 }, 'made'],
    ['text', undefined, 'text', 'text', 'made'],
    [[3], undefined, [3], [3], 'made'],
    [null, undefined, null, null, 'made'],
  ]);
});

describe('the module', () => {
  class Needs {
    constructor(@InjectInstanceQueue() readonly queue: InstanceQueue) {}
  }
  @Module({ providers: [Needs] })
  class Elsewhere {
    readonly isModule = true;
  }

  it('is for every module, unless it is told otherwise', async () => {
    const { module, queue } = await built([], [{}], [Elsewhere]);
    expect(module.get(Needs, { strict: false }).queue).toBe(queue);
    const alone = await rejection(built([], [{ isGlobal: false }], [Elsewhere]));
    expect(String(alone)).toContain("can't resolve dependencies of the Needs");
  });

  it.each<[string, Partial<InstanceQueueModuleOptions>, string]>([
    ['like itself', { name: 'audit' }, 'audit'],
    ['as it is told', { name: 'audit', connectionName: 'shop' }, 'shop'],
    ['like any, without a name', {}, 'instance-queue'],
  ])('names connections %s', async (_what, options, name) => {
    const module = await Test.createTestingModule({
      imports: [InstanceQueueModule.forRoot({ url: 'amqp://127.0.0.1:1', ...options })],
    })
      .setLogger(logger)
      .compile();
    const queue = closing(module.get<InstanceQueue>(getInstanceQueueToken(options.name)));
    queue.connect().catch(() => undefined);
    await eventually(() => lines.length > 0);
    const [, line, context] = lines[0] ?? [];
    expect(line).toContain(`connection=${name}.`);
    expect(context).toBe(options.name === undefined ? 'InstanceQueue' : `InstanceQueue:${options.name}`);
  });

  it('gets its options from a factory that is given what it asks for', async () => {
    @Module({ providers: [{ provide: 'config', useValue: { url: 'amqp://127.0.0.1:1' } }], exports: ['config'] })
    class Config {
      readonly isModule = true;
    }
    const given: unknown[] = [];
    const module = await Test.createTestingModule({
      imports: [
        InstanceQueueModule.forRootAsync({
          imports: [Config],
          inject: ['config'],
          useFactory: (config: { url: string }) => {
            given.push(config);
            return { ...config, logger: 'silent' as const };
          },
        }),
        InstanceQueueModule.forRootAsync({
          name: 'plain',
          useFactory: () => ({ url: 'amqp://127.0.0.1:1', logger: 'silent' as const }),
        }),
      ],
    }).compile();
    for (const name of [undefined, 'plain']) closing(module.get<InstanceQueue>(getInstanceQueueToken(name)));
    expect(module.get(InstanceQueue)).toBeInstanceOf(InstanceQueue);
    expect(given).toEqual([{ url: 'amqp://127.0.0.1:1' }]);
  });

  it('tells of the health of every InstanceQueue, whichever module provides it', async () => {
    const { app, queues, module } = await built([], [{}, { name: 'audit' }]);
    const [first] = queues;
    await first!.connect();
    class Health {
      constructor(@Inject(InstanceQueueHealthIndicator) readonly indicator: InstanceQueueHealthIndicator) {}
    }
    const indicator = module.get(InstanceQueueHealthIndicator, { strict: false });
    expect(new Health(indicator).indicator.isHealthy('own')).toMatchObject({ own: { status: 'up', reasons: [] } });
    expect(indicator.isHealthy('audit', { connection: 'audit' })).toMatchObject({
      audit: { status: 'down', health: 'down', reasons: [{ of: 'nothing' }] },
    });
    await app.close();
  });
});
