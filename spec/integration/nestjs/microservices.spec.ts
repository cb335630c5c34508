import 'reflect-metadata';
import { Controller, Injectable, Module, Scope, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientRMQ,
  ClientsModule,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  RmqRecordBuilder,
  RpcException,
  Transport,
  type ClientProxy,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { InstanceQueue, PublishError } from 'instance-queue';
import { InstanceQueueClient, InstanceQueueServer, type InstanceQueueContext } from 'instance-queue/nestjs';
import { EMPTY, firstValueFrom, lastValueFrom, of, toArray, type Observable } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
const seen: unknown[] = [];
let name: string;
let bystander: Bystander;
beforeEach(async () => {
  seen.length = 0;
  bystander = closing(await Bystander.at(url));
  name = await bystander.declareQueue();
});
afterEach(closeAll);

@Controller()
class Shop {
  @MessagePattern('price')
  price(@Payload() { article }: { article: string }): number {
    return article.length;
  }
  @MessagePattern({ cmd: 'later' })
  later(@Payload('article') article: string): Promise<string> {
    return Promise.resolve(article);
  }
  @MessagePattern('many')
  many(): Observable<number> {
    return of(1, 2, 3);
  }
  @MessagePattern('none')
  none(): Observable<number> {
    return EMPTY;
  }
  @MessagePattern('fails')
  fails(): never {
    throw new RpcException({ status: 'error', message: 'no such article' });
  }
  @MessagePattern('cyclic')
  cyclic(): object {
    const cyclic: { self?: object } = {};
    cyclic.self = cyclic;
    return cyclic;
  }
  @EventPattern('placed')
  placed(@Payload() body: unknown, @Ctx() context: InstanceQueueContext): void {
    const { queue, properties } = context.getMessage();
    seen.push([body, context.getPattern(), queue === name, properties.headers ?? {}, context.signal.aborted]);
  }
  @EventPattern('broken')
  broken(): never {
    throw new Error('broken');
  }
}

@Injectable({ scope: Scope.REQUEST })
class Counted {
  static made = 0;
  readonly number = ++Counted.made;
}
@Controller()
class Scoped {
  constructor(readonly counted: Counted) {}
  @MessagePattern('number')
  number(): number {
    return this.counted.number;
  }
}
// Without `emitDecoratorMetadata` Nest is told by hand what a constructor takes.
Reflect.defineMetadata('design:paramtypes', [Counted], Scoped);

@Module({})
class Empty {
  readonly isEmpty = true;
}

async function serving(server: InstanceQueueServer, controllers: Type[] = [Shop]): Promise<INestMicroservice> {
  const module = await Test.createTestingModule({ controllers, providers: [Counted] }).compile();
  module.useLogger(false);
  const app = module.createNestMicroservice<MicroserviceOptions>({ strategy: server });
  await app.listen();
  closing({ close: () => app.close() });
  return app;
}

const server = (): InstanceQueueServer =>
  new InstanceQueueServer({ url, queue: name, logger: 'silent', handling: { onError: 'reject' } });
const client = (): InstanceQueueClient => {
  const made = new InstanceQueueClient({ url, queue: name, logger: 'silent', request: { timeout: 5000 } });
  return closing(made);
};
type Asking = Pick<ClientProxy, 'send' | 'emit'>;
/** Nest's own RabbitMQ client, as it is used today. */
const nestClient = (): Asking => {
  const made = new ClientRMQ({ urls: [url], queue: name, queueOptions: { durable: true } });
  closing({ close: () => made.close() });
  return made;
};

describe.each<[string, () => Asking]>([
  ['InstanceQueueClient', client],
  ['the client of Transport.RMQ', nestClient],
])('a server, asked by %s', (_who, makeClient) => {
  let asking: Asking;
  beforeEach(async () => {
    await serving(server(), [Shop, Scoped]);
    asking = makeClient();
  });
  const ask = (pattern: unknown, data: unknown = {}): Promise<unknown> =>
    lastValueFrom(asking.send<unknown>(pattern, data), { defaultValue: 'nothing' });

  it('replies what the handler returns, promises, or emits last', async () => {
    expect(await ask('price', { article: 'four' })).toBe(4);
    expect(await ask({ cmd: 'later' }, { article: 'a' })).toBe('a');
    expect(await firstValueFrom(asking.send<unknown>('many', {}).pipe(toArray()))).toEqual([3]);
    expect(await ask('none')).toBe('nothing');
  });

  it('replies the error of a handler, and of a reply that JSON cannot hold', async () => {
    await expect(ask('fails')).rejects.toEqual({ status: 'error', message: 'no such article' });
    await expect(ask('cyclic')).rejects.toMatch(/circular/);
    await expect(ask('unknown')).rejects.toBe('There is no matching message handler defined in the remote service.');
  });

  it('makes request-scoped providers for each message', async () => {
    const first = await ask('number');
    expect(await ask('number')).toBe(Number(first) + 1);
  });

  it('hands events to their handlers, with their context', async () => {
    const record = new RmqRecordBuilder({ id: 1 }).setOptions({ headers: { tenant: 't' } }).build();
    await lastValueFrom(asking.emit('placed', record), { defaultValue: undefined });
    await eventually(() => seen.length === 1);
    expect(seen).toEqual([[{ id: 1 }, 'placed', true, expect.objectContaining({ tenant: 't' }), false]]);
  });
});

test('an event is settled by what its handler does; one without a handler is rejected', async () => {
  const strategy = server();
  await serving(strategy);
  const emitting = client();
  for (const pattern of ['placed', 'broken', 'unknown'])
    await lastValueFrom(emitting.emit(pattern, {}), { defaultValue: undefined });
  await eventually(() => strategy.unwrap().metrics.acked + strategy.unwrap().metrics.rejected === 3);
  expect(strategy.unwrap().metrics).toMatchObject({ acked: 1, rejected: 2 });
});

test('a request whose reply does not come in time is rejected', async () => {
  const asking = closing(new InstanceQueueClient({ url, queue: name, logger: 'silent', request: { timeout: 500 } }));
  // Or the request might not be confirmed in time.
  await asking.connect();
  await expect(lastValueFrom(asking.send('price', {}))).rejects.toMatchObject({ code: 'REPLY_TIMEOUT' });
});

test('a request is given up when nobody subscribes to its reply any more', async () => {
  const asking = client();
  await asking.connect();
  const subscription = asking.send('price', {}).subscribe();
  await eventually(() => asking.unwrap().metrics.sent === 1);
  subscription.unsubscribe();
  await asking.close();
  expect(asking.unwrap().metrics.timedOut).toBe(0);
});

test('InstanceQueueClient asks a server of Transport.RMQ', async () => {
  const module = await Test.createTestingModule({ controllers: [Shop] }).compile();
  module.useLogger(false);
  const app = module.createNestMicroservice<MicroserviceOptions>({
    transport: Transport.RMQ,
    options: { urls: [url], queue: name, noAck: true, queueOptions: { durable: true } },
  });
  await app.listen();
  closing({ close: () => app.close() });
  expect(await lastValueFrom(client().send('price', { article: 'four' }))).toBe(4);
  await expect(lastValueFrom(client().send('fails', {}))).rejects.toEqual({
    status: 'error',
    message: 'no such article',
  });
});

test('ClientsModule provides a client', async () => {
  await serving(server());
  const module = await Test.createTestingModule({
    imports: [
      ClientsModule.register([
        { name: 'SHOP', customClass: InstanceQueueClient, options: { url, queue: name, logger: 'silent' } },
      ]),
    ],
  }).compile();
  closing({ close: () => module.close() });
  const asking = module.get<ClientProxy>('SHOP');
  expect(await lastValueFrom(asking.send('price', { article: 'four' }))).toBe(4);
});

test('a queue that is given with its properties is declared by both sides', async () => {
  const queue = { name: `${name}.declared`, expires: 60_000 };
  const asking = closing(new InstanceQueueClient({ url, queue, logger: 'silent' }));
  await asking.connect();
  await lastValueFrom(asking.emit('placed', 1), { defaultValue: undefined });
  await serving(new InstanceQueueServer({ url, queue, logger: 'silent' }));
  await eventually(() => seen.length === 1);
});

test('an InstanceQueue that is given is its owner’s to close', async () => {
  const connection = closing(new InstanceQueue(url));
  const app = await serving(new InstanceQueueServer({ connection, queue: name }));
  const asking = new InstanceQueueClient({ connection, queue: name });
  expect(await lastValueFrom(asking.send('price', { article: 'four' }))).toBe(4);
  await asking.close();
  await app.close();
  expect(connection.state.producer.status).toBe('connected');
  expect(connection.health.consumers).toEqual([]);
});

test('listen() fails if the broker refuses the queue for good, and close() waits for what is handled', async () => {
  const refused = new InstanceQueueServer({ url, queue: { name, durable: true, type: 'quorum' }, logger: 'silent' });
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(Empty, { strategy: refused, logger: false });
  await expect(app.listen()).rejects.toMatchObject({ replyCode: 406 });
  await refused.close();
});

test('close() waits for the handlers that run', async () => {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  @Controller()
  class Slow {
    @EventPattern('placed')
    async placed(): Promise<void> {
      seen.push('begun');
      await ended;
      seen.push('ended');
    }
  }
  const strategy = server();
  const app = await serving(strategy, [Slow]);
  await lastValueFrom(client().emit('placed', {}), { defaultValue: undefined });
  await eventually(() => seen.length === 1);
  const closed = app.close().then(() => seen.push('closed'));
  end();
  await closed;
  expect(seen).toEqual(['begun', 'ended', 'closed']);
  expect(strategy.unwrap().metrics).toMatchObject({ acked: 1, lost: 0 });
});

test('the status and the events are those of the connections', async () => {
  const asking = client();
  const connected = new Promise((resolve) => {
    asking.on('connected', ({ epoch }, role) => {
      if (role === 'producer') resolve(epoch);
    });
  });
  await asking.connect();
  expect(await connected).toBe(1);
  const strategy = server();
  await serving(strategy);
  expect(await firstValueFrom(strategy.status)).toBe('connected');
});

test('errors of the InstanceQueue reach the subscriber', async () => {
  const asking = client();
  await asking.connect();
  await asking.close();
  await expect(lastValueFrom(asking.emit('placed', {}))).rejects.toBeDefined();
  const lost = closing(new InstanceQueueClient({ url, queue: `${name}.nowhere`, logger: 'silent' }));
  const error: unknown = await lastValueFrom(lost.send('price', {})).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PublishError);
  expect(error).toMatchObject({ code: 'PUBLISH_RETURNED' });
});
