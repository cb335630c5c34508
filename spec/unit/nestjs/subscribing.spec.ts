import 'reflect-metadata';
import {
  BadRequestException,
  Catch,
  Controller,
  Inject,
  Injectable,
  ParseIntPipe,
  Scope,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
  type Type,
} from '@nestjs/common';
import { REQUEST, Reflector } from '@nestjs/core';
import { Ctx, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { OptionsError, type InstanceQueue, type Message } from 'instance-queue';
import {
  getInstanceQueueToken,
  InjectInstanceQueue,
  InstanceQueueModule,
  Respond,
  Subscribe,
  type InstanceQueueContext,
} from 'instance-queue/nestjs';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { EMPTY, of, tap, throwError, type Observable } from 'rxjs';
import { closeAll, closing } from '../../support/closing';

afterEach(closeAll);

let queue: FakeInstanceQueue;
beforeEach(() => {
  queue = new FakeInstanceQueue();
});

/** Starts an application with these providers and controllers, over a broker in memory. */
async function start(providers: Provider[], controllers: Type[] = []) {
  const module = await Test.createTestingModule({
    imports: [InstanceQueueModule.forRoot({ url: 'amqp://localhost' })],
    providers,
    controllers,
  })
    .overrideProvider(getInstanceQueueToken())
    .useValue(queue)
    .compile();
  module.useLogger(false);
  closing(queue);
  await module.init();
  closing({ close: () => module.close() });
  return module;
}

describe('a method with @Subscribe', () => {
  it('works on each message; what it returns settles it', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      readonly own = 'own';
      @Subscribe<number>({ queue: 'orders' }, { onError: 'reject' })
      ship({ body }: Message<number>, { signal }: InstanceQueueContext): void {
        seen.push([body, this.own, signal.aborted]);
        if (body === 2) throw new Error('bad');
      }
    }
    await start([Orders]);
    for (const body of [1, 2]) await queue.send({ queue: 'orders', body });
    await queue.rest();
    expect(seen).toEqual([
      [1, 'own', false],
      [2, 'own', false],
    ]);
    expect(queue.metrics).toMatchObject({ acked: 1, rejected: 1 });
  });

  it('may be in a controller, inherited, and of several queues', async () => {
    const seen: unknown[] = [];
    class Base {
      @Subscribe({ queue: 'a' })
      @Subscribe({ queue: 'b' })
      work({ queue: from }: Message<unknown>): void {
        seen.push(from);
      }
    }
    @Controller()
    class Derived extends Base {}
    await start([], [Derived]);
    await queue.send({ queue: 'a', body: 1 });
    await queue.rest();
    await queue.send({ queue: 'b', body: 1 });
    await queue.rest();
    expect(seen).toEqual(['a', 'b']);
  });

  it('subscribes once, however many tokens its object has', async () => {
    class Orders {
      @Subscribe({ queue: 'orders' })
      ship(): void {
        // Nothing.
      }
    }
    const orders = new Orders();
    await start([
      { provide: 'one', useValue: orders },
      { provide: 'two', useFactory: () => orders },
      { provide: 'three', useExisting: 'one' },
    ]);
    await queue.rest();
    expect(queue.health.consumers).toHaveLength(1);
  });

  it('is done with an Observable when that completes, with or without values', async () => {
    class Orders {
      @Subscribe<number>({ queue: 'orders' }, { onError: 'reject' })
      ship({ body }: Message<number>): Observable<number> {
        if (body === 1) return EMPTY;
        return body === 2 ? of(1, 2) : throwError(() => new Error('bad'));
      }
    }
    await start([Orders]);
    for (const body of [1, 2, 3]) await queue.send({ queue: 'orders', body });
    await queue.rest();
    expect(queue.metrics).toMatchObject({ acked: 2, rejected: 1 });
  });

  it('has its failures wait and come back with `retry`', async () => {
    let runs = 0;
    class Orders {
      @Subscribe({ queue: 'orders' }, { retry: { attempts: 3, delay: 1, then: { queue: 'failed' } } })
      ship(): void {
        runs++;
        throw new Error('bad');
      }
    }
    await start([Orders]);
    await queue.send({ queue: 'orders', body: 1 });
    await new Promise<void>((resolve) => {
      queue.broker.changed$.subscribe(() => {
        if (queue.broker.messages('failed').length === 1) resolve();
      });
    });
    expect(runs).toBe(3);
  });

  it('is refused with both `retry` and `onError`', async () => {
    class Orders {
      @Subscribe({ queue: 'orders' }, { retry: { attempts: 3, delay: 1 }, onError: 'reject' })
      ship(): void {
        // Nothing.
      }
    }
    await expect(start([Orders])).rejects.toThrow('`Orders.ship` has both `retry` and `onError`');
  });

  it('is refused if no module provides its InstanceQueue', async () => {
    class Orders {
      @Subscribe({ queue: 'orders', connection: 'typo' })
      ship(): void {
        // Nothing.
      }
    }
    const refused = start([Orders]);
    await expect(refused).rejects.toBeInstanceOf(OptionsError);
    await expect(refused).rejects.toThrow(
      "`Orders.ship` subscribes to the InstanceQueue `typo`, which no module provides. Import InstanceQueueModule.forRoot({ name: 'typo', … }).",
    );
  });
});

describe('a class that Nest makes anew', () => {
  it('for each request is made for each message, which it can inject', async () => {
    const seen: unknown[] = [];
    let made = 0;
    @Injectable({ scope: Scope.REQUEST })
    class Unit {
      readonly number = ++made;
      constructor(@Inject(REQUEST) readonly message: Message<number>) {}
    }
    @Injectable()
    class Orders {
      constructor(@Inject(Unit) private readonly unit: Unit) {}
      @Subscribe<number>({ queue: 'orders' }, { concurrency: 1 })
      ship({ body }: Message<number>): void {
        seen.push([body, this.unit.message.body, this.unit.number]);
      }
    }
    await start([Unit, Orders]);
    for (const body of [10, 20]) await queue.send({ queue: 'orders', body });
    await queue.rest();
    expect(seen).toEqual([
      [10, 10, 1],
      [20, 20, 2],
    ]);
    expect(queue.metrics).toMatchObject({ acked: 2 });
  });

  it('for each request may be a controller, too', async () => {
    const seen: unknown[] = [];
    @Controller({ scope: Scope.REQUEST })
    class Orders {
      constructor(@Inject(REQUEST) private readonly message: Message<number>) {}
      @Subscribe<number>({ queue: 'orders' })
      ship(): void {
        seen.push(this.message.body);
      }
    }
    await start([], [Orders]);
    await queue.send({ queue: 'orders', body: 10 });
    await queue.rest();
    expect(seen).toEqual([10]);
  });

  it('fails the message if it cannot be made', async () => {
    const broken: Provider = {
      provide: 'broken',
      scope: Scope.REQUEST,
      useFactory: () => Promise.reject(new Error('no database')),
    };
    @Injectable()
    class Orders {
      constructor(@Inject('broken') readonly broken: unknown) {}
      @Subscribe({ queue: 'orders' }, { onError: 'reject' })
      ship(): void {
        // Nothing.
      }
    }
    await start([broken, Orders]);
    await queue.send({ queue: 'orders', body: 1 });
    await queue.rest();
    expect(queue.metrics).toMatchObject({ rejected: 1 });
  });

  it('for each user is refused: there is no one instance to call', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Orders {
      @Subscribe({ queue: 'orders' })
      ship(): void {
        // Nothing.
      }
    }
    await expect(start([Orders])).rejects.toThrow('its class is transient');
  });
});

describe('Nest’s enhancers', () => {
  it('see the message and its context as those of an RPC handler, and the metadata of the method', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Watch implements NestInterceptor, CanActivate {
      canActivate(context: ExecutionContext): boolean {
        const label = new Reflector().get<string>('label', context.getHandler());
        const { body } = context.switchToRpc().getData<Message<number>>();
        seen.push(['guard', context.getType(), label, body, context.getClass().name, context.getHandler().name]);
        return body !== 2;
      }
      intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
        const { signal } = context.switchToRpc().getContext<InstanceQueueContext>();
        return next.handle().pipe(tap((value) => seen.push(['interceptor', value, signal.aborted])));
      }
    }
    @Injectable()
    class Orders {
      @Subscribe<number>({ queue: 'orders' }, { onError: 'reject' })
      @SetMetadata('label', 'shipping')
      @UseGuards(Watch)
      @UseInterceptors(Watch)
      ship({ body }: Message<number>): string {
        return `shipped ${body}`;
      }
    }
    await start([Watch, Orders]);
    for (const body of [1, 2]) await queue.send({ queue: 'orders', body });
    await queue.rest();
    expect(seen).toEqual([
      ['guard', 'rpc', 'shipping', 1, 'Orders', 'ship'],
      ['guard', 'rpc', 'shipping', 2, 'Orders', 'ship'],
      ['interceptor', 'shipped 1', false],
    ]);
    expect(queue.metrics).toMatchObject({ acked: 1, rejected: 1 });
  });

  it('inject the body and the context, through pipes', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Orders {
      @Subscribe({ queue: 'orders' }, { onError: 'reject' })
      ship(
        @Payload() body: { id: string },
        @Payload('id', ParseIntPipe) id: number,
        @Ctx() context: InstanceQueueContext,
      ): void {
        seen.push([body, id, context.getMessage().queue]);
      }
    }
    await start([Orders]);
    for (const id of ['7', 'seven']) await queue.send({ queue: 'orders', body: { id } });
    await queue.rest();
    expect(seen).toEqual([[{ id: '7' }, 7, 'orders']]);
    expect(queue.metrics).toMatchObject({ acked: 1, rejected: 1 });
  });

  describe('filters', () => {
    async function settledWith(returned: (exception: Error) => unknown) {
      @Catch(BadRequestException)
      class Filter implements ExceptionFilter {
        catch(exception: Error, host: ArgumentsHost): unknown {
          expect(host.getType()).toBe('rpc');
          return returned(exception);
        }
      }
      @Injectable()
      class Orders {
        @Subscribe({ queue: 'orders' }, { onError: 'reject' })
        @UseFilters(Filter)
        ship(): void {
          throw new BadRequestException();
        }
      }
      await start([Orders]);
      await queue.send({ queue: 'orders', body: 1 });
      await queue.rest();
      const { acked, rejected } = queue.metrics;
      return { acked, rejected };
    }
    const handled = { acked: 1, rejected: 0 };
    const failed = { acked: 0, rejected: 1 };
    it.each<[string, (exception: Error) => unknown, object]>([
      ['a value', () => 'fine', handled],
      ['a Promise of nothing', () => Promise.resolve(), handled],
      ['an Observable that completes', () => EMPTY, handled],
      ['nothing', () => undefined, failed],
      ['an Observable that errors', (exception) => throwError(() => exception), failed],
      ['a Promise that rejects', (exception) => Promise.reject(exception), failed],
    ])('that return %s', async (_what, returned, expected) => {
      expect(await settledWith(returned)).toEqual(expected);
    });
  });
});

describe('a method with @Respond', () => {
  it('replies what it returns', async () => {
    @Injectable()
    class Prices {
      constructor(@InjectInstanceQueue() readonly queue: InstanceQueue) {}
      @Respond<{ article: string }>({ queue: 'prices' })
      price({ body }: Message<{ article: string }>): Promise<number> {
        return Promise.resolve(body.article.length);
      }
    }
    const module = await start([Prices]);
    expect(module.get(Prices).queue).toBe(queue);
    await queue.rest();
    const { body } = await queue.request<number>({ queue: 'prices', body: { article: 'four' } });
    expect(body).toBe(4);
  });
});

test('@Subscribe is for methods', () => {
  const seen: unknown[] = [];
  expect(() => {
    class Wrong {
      @Subscribe({ queue: 'orders' })
      get orders(): number {
        return seen.length;
      }
    }
    return Wrong;
  }).toThrow(/for methods/);
});
