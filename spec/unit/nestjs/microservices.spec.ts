import { Controller, type Logger } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, RmqRecordBuilder, RpcException } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { compressed, type Codec, type ErrorPolicy, json, PublishError, text } from 'instance-queue';
import {
  InstanceQueueClient,
  type InstanceQueueContext,
  InstanceQueueServer,
  type InstanceQueueServerOptions,
} from 'instance-queue/nestjs';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { eventually, rejection } from '../../support/waiting';

afterEach(closeAll);

/** How often each event was handled. */
const seen = { changed: 0, broken: 0 };
let latest: InstanceQueueContext | undefined;
class Prices {
  price(_article: unknown, context: InstanceQueueContext): number {
    latest = context;
    return 42;
  }
  changed(): void {
    seen.changed++;
  }
  broken(): void {
    seen.broken++;
    throw new RpcException('broken');
  }
  failing(): never {
    throw new RangeError('no such article');
  }
}
const methodOf = (name: keyof Prices): PropertyDescriptor => Object.getOwnPropertyDescriptor(Prices.prototype, name)!;
for (const name of ['price', 'failing'] as const) MessagePattern(name)(Prices.prototype, name, methodOf(name));
for (const name of ['changed', 'broken'] as const) EventPattern(name)(Prices.prototype, name, methodOf(name));
Ctx()(Prices.prototype, 'price', 1);
Controller()(Prices);
beforeEach(() => {
  Object.assign(seen, { changed: 0, broken: 0 });
});

type ServerOptions = Omit<Extract<InstanceQueueServerOptions, { connection: unknown }>, 'connection' | 'queue'>;
/** A server over a broker in memory, that listens. */
async function serving(options: ServerOptions = {}, queue = closing(new FakeInstanceQueue())) {
  await queue.admin.declare({ queues: [{ name: 'prices' }] });
  const module = await Test.createTestingModule({ controllers: [Prices] }).compile();
  module.useLogger(false);
  const server = new InstanceQueueServer({ connection: queue, queue: 'prices', ...options });
  const app = closing(module.createNestMicroservice({ strategy: server }));
  await app.listen();
  return { queue, server, app };
}
const emitted = (client: InstanceQueueClient, pattern: string, data: unknown = {}): Promise<unknown> =>
  lastValueFrom(client.emit(pattern, data), { defaultValue: undefined });
/** A server that is not reached: nothing listens there. */
const NOWHERE = { url: 'amqp://127.0.0.1:1', queue: 'prices', logger: 'silent' } as const;

describe('a microservice over an InstanceQueue that exists', () => {
  const codecs: [string, Codec<unknown, never>][] = [
    ['json', json()],
    ['text', text],
    ['compressed', compressed(json(), { above: 0 })],
  ];
  it.each(codecs)('speaks the packets of Nest, whatever the codec of its producers: %s', async (_, codec) => {
    const { queue } = await serving({}, closing(new FakeInstanceQueue({ producer: { codec } })));
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices' });
    await emitted(client, 'changed');
    await eventually(() => seen.changed === 1);
    expect(await firstValueFrom(client.send('price', {}))).toBe(42);
    await expect(lastValueFrom(client.send('failing', {}))).rejects.toBeDefined();
  });

  it('speaks other packets through serializers, each side both ways', async () => {
    const wrapping = { serialize: (packet: unknown) => ({ version: 2, packet }) };
    const unwrapping = {
      deserialize: ({ version, packet }: { version: number; packet: never }) => version === 2 && packet,
    };
    const { queue } = await serving({ serializer: wrapping, deserializer: unwrapping });
    const told = jest.spyOn(queue, 'request');
    const both = { serializer: wrapping, deserializer: unwrapping };
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices', ...both });
    expect(await firstValueFrom(client.send('price', { article: 1 }))).toBe(42);
    await emitted(client, 'changed');
    await eventually(() => seen.changed === 1);
    const [[message]] = told.mock.calls as unknown as [[{ body: Buffer }]];
    expect(JSON.parse(message.body.toString())).toMatchObject({ version: 2, packet: { pattern: 'price' } });
  });

  it('sends a record with the properties that it names, and no others', async () => {
    const { queue } = await serving();
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices' });
    const send = jest.spyOn(queue, 'send');
    const properties = { headers: { tenant: 't' }, priority: 0, messageId: 'm', type: 'y', appId: 'a' };
    const options = { ...properties, persistent: false, expiration: '60000' };
    await emitted(client, 'changed', new RmqRecordBuilder({ id: 1 }).setOptions(options).build());
    await emitted(client, 'changed', new RmqRecordBuilder({ id: 2 }).build());
    await emitted(client, 'changed', { id: 3 });
    const always = { queue: 'prices', body: expect.any(Buffer) as unknown, contentType: 'application/json' };
    expect(send.mock.calls.map(([message]) => message)).toStrictEqual([
      { ...always, ...properties, persistent: false, expiration: 60_000 },
      always,
      always,
    ]);
    const bodies = send.mock.calls.map(([{ body }]) => JSON.parse(String(body)) as unknown);
    expect(bodies).toEqual([1, 2, 3].map((id) => ({ pattern: 'changed', data: { id } })));
  });

  it('sends a request with the properties of its record, too', async () => {
    const { queue } = await serving();
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices', request: { timeout: 1234 } });
    const request = jest.spyOn(queue, 'request');
    const record = new RmqRecordBuilder({}).setOptions({ priority: 3 }).build();
    expect(await firstValueFrom(client.send('price', record))).toBe(42);
    expect(request).toHaveBeenCalledWith(
      expect.objectContaining({ queue: 'prices', priority: 3 }),
      expect.objectContaining({ timeout: 1234 }),
    );
    expect(latest?.getArgs()).toEqual([latest?.getMessage(), latest?.signal, 'price']);
    expect(latest?.getMessage().properties).toMatchObject({ priority: 3 });
  });

  const own: ErrorPolicy<unknown> = (_error, { redelivered }) => (redelivered ? 'ack' : 'requeue');
  it.each<[string, ServerOptions['handling'], number, object]>([
    ['is run once more, then rejected', undefined, 2, { requeued: 1, rejected: 1, acked: 0 }],
    ['is settled by a policy with a name', { onError: 'reject' }, 1, { requeued: 0, rejected: 1, acked: 0 }],
    ['is settled by a policy of one’s own', { onError: own }, 2, { requeued: 1, rejected: 0, acked: 1 }],
  ])('an event whose handler failed %s', async (_, handling, runs, metrics) => {
    const { queue } = await serving({ ...(handling && { handling }) });
    await emitted(new InstanceQueueClient({ connection: queue, queue: 'prices' }), 'broken');
    await queue.rest();
    expect(seen.broken).toBe(runs);
    expect(queue.metrics).toMatchObject(metrics);
  });

  it('an event whose handler failed is logged by its pattern', async () => {
    const { queue, server } = await serving({ handling: { onError: 'reject' } });
    const { logger } = server as unknown as { readonly logger: Logger };
    const warned = jest.spyOn(logger, 'warn');
    await emitted(new InstanceQueueClient({ connection: queue, queue: 'prices' }), 'broken');
    await queue.rest();
    expect(warned.mock.calls).toEqual([['An event of the pattern broken failed: broken']]);
  });

  it.each<[string | object, string]>([
    ['placed', 'placed'],
    [{ event: 'placed' }, '{"event":"placed"}'],
  ])('an event that is not sent says which one it was: %j', async (pattern, name) => {
    const queue = closing(new FakeInstanceQueue({ producer: { onNack: 'reject' } }));
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices' });
    queue.broker.nackNext(1);
    const error = await rejection(lastValueFrom(client.emit(pattern, {}), { defaultValue: undefined }));
    expect(error).toBeInstanceOf(PublishError);
    expect(error).toMatchObject({ code: 'PUBLISH_NACKED', maybeDelivered: false, retryable: true });
    expect(error).toMatchObject({ cause: { code: 'PUBLISH_NACKED', messageId: (error as PublishError).messageId } });
    expect(String(error)).toContain(`The event of the pattern ${name} failed: The broker did not take the message`);
  });

  it('an event whose handler failed ends the server under `fail`, which says why', async () => {
    const { queue, server } = await serving({ handling: { onError: 'fail' } });
    const logged = jest.spyOn(server as unknown as { handleError(error: string): void }, 'handleError');
    await emitted(new InstanceQueueClient({ connection: queue, queue: 'prices' }), 'broken');
    await queue.rest();
    expect(queue.health.consumers).toEqual([]);
    expect(logged).toHaveBeenCalledWith('broken');
  });

  it.each<ServerOptions['handling']>([undefined, { onError: 'requeue' }, { onError: () => 'requeue' }])(
    'an event that nobody handles is rejected at once, whatever the policy: %j',
    async (handling) => {
      const { queue } = await serving({ ...(handling && { handling }) });
      await emitted(new InstanceQueueClient({ connection: queue, queue: 'prices' }), 'unknown');
      await queue.rest();
      expect(queue.metrics).toMatchObject({ delivered: 1, rejected: 1, requeued: 0 });
    },
  );

  it('calls the hooks of Nest around each handler, also one that fails', async () => {
    const { queue, server } = await serving();
    const log: unknown[] = [];
    server.setOnProcessingStartHook((transport, context, done) => {
      log.push(['start', transport, (context as InstanceQueueContext).getPattern()]);
      return void done();
    });
    server.setOnProcessingEndHook((transport, context) => {
      log.push(['end', transport, (context as InstanceQueueContext).getPattern()]);
    });
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices' });
    await firstValueFrom(client.send('price', {}));
    await expect(lastValueFrom(client.send('failing', {}))).rejects.toBeDefined();
    expect(log).toEqual(
      ['price', 'failing'].flatMap((pattern) => ['start', 'end'].map((what) => [what, server.transportId, pattern])),
    );
  });

  it('tells each change of its connection', async () => {
    const { queue, server } = await serving();
    const told: unknown[] = [];
    server.status.subscribe((status) => told.push(status));
    expect(told).toEqual(['connected']);
    queue.broker.disconnect();
    await eventually(() => told.length === 2);
    queue.broker.reconnect();
    await eventually(() => told.length === 3);
    expect(told).toEqual(['connected', 'disconnected', 'connected']);
  });

  it('leaves the InstanceQueue to its owner, and closes one of its own', async () => {
    const { queue, app } = await serving();
    await new InstanceQueueClient({ connection: queue, queue: 'prices' }).close();
    await app.close();
    expect(queue.state.consumer.status).toBe('connected');
    expect(queue.health.consumers).toEqual([]);
    for (const own of [new InstanceQueueServer(NOWHERE), new InstanceQueueClient(NOWHERE)]) {
      await own.close();
      expect(own.unwrap().state).toMatchObject({ producer: { status: 'closed' }, consumer: { status: 'closed' } });
    }
  });

  it('says so where it was closed before it was attached', async () => {
    const server = new InstanceQueueServer(NOWHERE);
    const answered = new Promise((resolve) => {
      server.listen(resolve);
    });
    await server.close();
    expect(await answered).toEqual(new Error('The server was closed before it was attached.'));
  });

  it('hears the events of its InstanceQueue, on both sides', async () => {
    const { queue, server } = await serving();
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices' });
    const told: [side: string, role: string][] = [];
    server.on('reconnecting', (_state, role) => told.push(['server', role]));
    client.on('reconnecting', (_state, role) => told.push(['client', role]));
    expect([server.unwrap(), client.unwrap(), await client.connect()]).toEqual([queue, queue, queue]);
    queue.broker.disconnect();
    await eventually(() => ['server', 'client'].every((side) => told.some(([who]) => who === side)));
    expect(told).toEqual(
      expect.arrayContaining([
        ['server', 'consumer'],
        ['client', 'producer'],
      ]),
    );
  });
});
