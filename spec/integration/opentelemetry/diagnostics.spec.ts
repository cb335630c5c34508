import { InstanceQueue, handle, type DiagnosticsEvents, type DiagnosticsTraces } from 'instance-queue';
import { AsyncLocalStorage } from 'node:async_hooks';
import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const { url } = sharedBroker();
afterEach(closeAll);

/** What a channel tells from here on. */
function heard<N extends keyof DiagnosticsEvents>(name: N): readonly DiagnosticsEvents[N][] {
  const events: DiagnosticsEvents[N][] = [];
  const listener = (event: unknown): void => void events.push(event as DiagnosticsEvents[N]);
  subscribe(name, listener);
  closing({ close: () => unsubscribe(name, listener) });
  return events;
}

/** What a tracing channel tells from here on, step by step. */
function steps<N extends keyof DiagnosticsTraces>(name: N) {
  const told: { readonly step: string; readonly trace: DiagnosticsTraces[N] }[] = [];
  const listen = (step: string) => (trace: DiagnosticsTraces[N]) => void told.push({ step, trace });
  const tracing = tracingChannel<unknown, DiagnosticsTraces[N]>(name);
  const listeners = {
    start: listen('start'),
    end: listen('end'),
    asyncStart: listen('asyncStart'),
    asyncEnd: listen('asyncEnd'),
    error: listen('error'),
  };
  tracing.subscribe(listeners);
  closing({
    close: () => {
      tracing.unsubscribe(listeners);
    },
  });
  return told;
}

let bystander: Bystander;
let name: string;
beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  name = await bystander.declareQueue();
});

test('a message is published, confirmed, delivered and settled, and each is told with its facts', async () => {
  const [published, confirmed, delivered, settled] = [
    heard('instance-queue:publish'),
    heard('instance-queue:confirm'),
    heard('instance-queue:deliver'),
    heard('instance-queue:settle'),
  ];
  const queue = closing(new InstanceQueue(url));
  queue
    .consume<string>({ queue: name })
    .pipe(
      handle(
        ({ body }) => {
          if (body === 'bad') throw new Error(body);
        },
        { onError: 'reject' },
      ),
    )
    .subscribe();
  const { messageId } = await queue.send({ queue: name, body: 'good' });
  await queue.send({ queue: name, body: 'bad', messageId: 'b' });
  await eventually(() => settled.length === 2);
  expect(published).toEqual([
    { messageId, exchange: '', routingKey: name, attempt: 1, epoch: 1 },
    { messageId: 'b', exchange: '', routingKey: name, attempt: 1, epoch: 1 },
  ]);
  expect(confirmed[1]).toEqual({ messageId: 'b', exchange: '', routingKey: name, attempts: 1, epoch: 1 });
  expect(delivered[0]).toMatchObject({ message: { body: 'good', queue: name }, epoch: 1 });
  expect(settled.map(({ settlement }) => settlement)).toEqual(['ack', 'reject']);
  expect(settled.map(({ message }) => message)).toEqual(delivered.map(({ message }) => message));
});

test('states are told as they come, with who they are of', async () => {
  const states = heard('instance-queue:state');
  const queue = closing(new InstanceQueue({ url, name: 'svc' }));
  const consumer = queue.consumer({ queue: name });
  consumer.deliveries$.subscribe();
  await until(consumer.state$, ({ status }) => status === 'attached');
  await queue.send({ queue: await bystander.declareQueue(), body: 1 });
  await queue.close();
  const statuses = (of: string, connection: string): string[] =>
    states.filter((event) => event.of === of && event.connection === connection).map(({ state }) => state.status);
  expect(statuses('connection', 'svc.producer')).toEqual(
    expect.arrayContaining(['connecting', 'connected', 'closing', 'closed']),
  );
  expect(statuses('consumer', 'svc.consumer')).toEqual(['detached', 'attached', 'draining', 'stopped']);
  expect(statuses('producer', 'svc.producer')).toEqual(['opening', 'open', 'stopped']);
});

test('a send is traced from its call to its confirm, or to its error', async () => {
  const told = steps('instance-queue:publish');
  const queue = closing(new InstanceQueue(url));
  const confirmation = await queue.send({ queue: name, body: 1, messageId: 'a' });
  expect(told.map(({ step }) => step)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  expect(told[3]?.trace).toMatchObject({ messageId: 'a', routingKey: name, result: confirmation });
  expect(new Set(told.map(({ trace }) => trace)).size).toBe(1);

  told.length = 0;
  const error = await publishError(queue.send({ exchange: 'amq.direct', routingKey: name, body: 1 }));
  expect(told.map(({ step }) => step)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
  expect(told[4]?.trace).toMatchObject({ exchange: 'amq.direct', messageId: error.messageId, error });
});

test('headers that the start of a send is given travel with the message, and the caller keeps its own', async () => {
  const start = (message: unknown): void => {
    (message as DiagnosticsTraces['instance-queue:publish']).headers['added'] = 'yes';
  };
  subscribe('tracing:instance-queue:publish:start', start);
  closing({
    close: () => {
      unsubscribe('tracing:instance-queue:publish:start', start);
    },
  });
  const queue = closing(new InstanceQueue(url));
  const headers = { own: 1 };
  await queue.send({ queue: name, body: 1, headers });
  expect(headers).toEqual({ own: 1 });
  const [message] = await bystander.onChannel(async (channel) => [await channel.get(name, { noAck: true })]);
  expect(message && message.properties.headers).toMatchObject({ own: 1, added: 'yes' });
});

test('a delivery is traced until it is settled; what its start stores is there where it is emitted', async () => {
  const told = steps('instance-queue:deliver');
  const storage = new AsyncLocalStorage<unknown>();
  const started = channel('tracing:instance-queue:deliver:start');
  started.bindStore(storage, (trace) => trace);
  closing({ close: () => started.unbindStore(storage) });
  const queue = closing(new InstanceQueue(url));
  await bystander.put(name, 1);
  const stored: unknown[] = [];
  const delivery = await new Promise<{ ack(): boolean; body: unknown }>((resolve) => {
    queue.consume({ queue: name }).subscribe((one) => {
      stored.push(storage.getStore());
      resolve(one);
    });
  });
  expect(told.map(({ step }) => step)).toEqual(['start', 'end']);
  expect(stored).toEqual([told[0]?.trace]);
  delivery.ack();
  expect(told.map(({ step }) => step)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  expect(told[3]?.trace).toMatchObject({ message: delivery, settlement: 'ack' });
});

test('a delivery whose channel goes is told as lost, once, also when it is settled too late', async () => {
  const settled = heard('instance-queue:settle');
  const proxy = closing(await FaultProxy.before(url));
  const queue = closing(new InstanceQueue({ url: proxy.url(url), reconnect: { min: 10, max: 10 } }));
  await bystander.put(name, 1);
  const come: { ack(): boolean }[] = [];
  queue.consume({ queue: name }).subscribe((delivery) => come.push(delivery));
  await eventually(() => come.length === 1);
  proxy.cut();
  await eventually(() => come.length === 2);
  expect(come[0]?.ack()).toBe(false);
  expect(come[1]?.ack()).toBe(true);
  expect(settled).toEqual([
    { message: come[0], settlement: 'lost' },
    { message: come[1], settlement: 'ack' },
  ]);
});

test('without settling there are deliveries and no settlements', async () => {
  const [delivered, settled] = [heard('instance-queue:deliver'), heard('instance-queue:settle')];
  const queue = closing(new InstanceQueue(url));
  await bystander.put(name, 1);
  queue.consume({ queue: name, noAck: true }).subscribe();
  await eventually(() => delivered.length === 1);
  expect(settled).toEqual([]);
});
