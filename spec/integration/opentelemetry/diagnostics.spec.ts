import { handle, type DiagnosticsEvents, type DiagnosticsTraces } from 'instance-queue';
import { AsyncLocalStorage } from 'node:async_hooks';
import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { closing } from '../../support/closing';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const given = proxiedFixture();

/** Collects the events of a diagnostics channel from here on. */
function eventsOf<N extends keyof DiagnosticsEvents>(name: N): readonly DiagnosticsEvents[N][] {
  const events: DiagnosticsEvents[N][] = [];
  const listener = (event: unknown): void => void events.push(event as DiagnosticsEvents[N]);
  subscribe(name, listener);
  closing({ close: () => unsubscribe(name, listener) });
  return events;
}

/** Collects the events of a tracing channel from here on, with their steps. */
function tracesOf<N extends keyof DiagnosticsTraces>(name: N) {
  const traces: { readonly step: string; readonly trace: DiagnosticsTraces[N] }[] = [];
  const listen = (step: string) => (trace: DiagnosticsTraces[N]) => void traces.push({ step, trace });
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
  return traces;
}

let queue: string;
beforeEach(async () => {
  queue = await given.bystander.declareQueue();
});

test('a message publishes one event each when it is published, confirmed, delivered and settled', async () => {
  const [published, confirmed, delivered, settled] = [
    eventsOf('instance-queue:publish'),
    eventsOf('instance-queue:confirm'),
    eventsOf('instance-queue:deliver'),
    eventsOf('instance-queue:settle'),
  ];
  const client = given.newClient();
  client
    .consume<string>({ queue })
    .pipe(
      handle(
        ({ body }) => {
          if (body === 'bad') throw new Error(body);
        },
        { onError: 'reject' },
      ),
    )
    .subscribe();
  const { messageId } = await client.send({ queue, body: 'good' });
  await client.send({ queue, body: 'bad', messageId: 'b' });
  await eventually(() => settled.length === 2);
  expect(published).toEqual([
    { messageId, exchange: '', routingKey: queue, attempt: 1, epoch: 1 },
    { messageId: 'b', exchange: '', routingKey: queue, attempt: 1, epoch: 1 },
  ]);
  expect(confirmed[1]).toEqual({ messageId: 'b', exchange: '', routingKey: queue, attempts: 1, epoch: 1 });
  expect(delivered[0]).toMatchObject({ message: { body: 'good', queue }, epoch: 1 });
  expect(settled.map(({ settlement }) => settlement)).toEqual(['ack', 'reject']);
  expect(settled.map(({ message }) => message)).toEqual(delivered.map(({ message }) => message));
});

test('every state is an event, with its connection, consumer or producer', async () => {
  const { bystander, newClient } = given;
  const states = eventsOf('instance-queue:state');
  const client = newClient({ name: 'svc' });
  const consumer = client.consumer({ queue });
  consumer.deliveries$.subscribe();
  await until(consumer.state$, ({ status }) => status === 'attached');
  await client.send({ queue: await bystander.declareQueue(), body: 1 });
  await client.close();
  const statuses = (of: string, connection: string): string[] =>
    states.filter((event) => event.of === of && event.connection === connection).map(({ state }) => state.status);
  expect(statuses('connection', 'svc.producer')).toEqual(
    expect.arrayContaining(['connecting', 'connected', 'closing', 'closed']),
  );
  expect(statuses('consumer', 'svc.consumer')).toEqual(['detached', 'attached', 'draining', 'stopped']);
  expect(statuses('producer', 'svc.producer')).toEqual(['opening', 'open', 'stopped']);
});

test('a send is traced from its call to its confirm, or to its error', async () => {
  const traces = tracesOf('instance-queue:publish');
  const client = given.newClient();
  const confirmation = await client.send({ queue, body: 1, messageId: 'a' });
  expect(traces.map(({ step }) => step)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  expect(traces[3]?.trace).toMatchObject({ messageId: 'a', routingKey: queue, result: confirmation });
  expect(new Set(traces.map(({ trace }) => trace)).size).toBe(1);

  traces.length = 0;
  const error = await publishError(client.send({ exchange: 'amq.direct', routingKey: queue, body: 1 }));
  expect(traces.map(({ step }) => step)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
  expect(traces[4]?.trace).toMatchObject({ exchange: 'amq.direct', messageId: error.messageId, error });
});

test('headers added at the start of a send are sent, without changing those of the caller', async () => {
  const { bystander, newClient } = given;
  const start = (message: unknown): void => {
    (message as DiagnosticsTraces['instance-queue:publish']).headers['added'] = 'yes';
  };
  subscribe('tracing:instance-queue:publish:start', start);
  closing({
    close: () => {
      unsubscribe('tracing:instance-queue:publish:start', start);
    },
  });
  const client = newClient();
  const headers = { own: 1 };
  await client.send({ queue, body: 1, headers });
  expect(headers).toEqual({ own: 1 });
  const [message] = await bystander.onChannel(async (channel) => [await channel.get(queue, { noAck: true })]);
  expect(message && message.properties.headers).toMatchObject({ own: 1, added: 'yes' });
});

test('a delivery is traced until it is settled, and a store bound at its start is active where it is emitted', async () => {
  const { bystander, newClient } = given;
  const traces = tracesOf('instance-queue:deliver');
  const storage = new AsyncLocalStorage<unknown>();
  const started = channel('tracing:instance-queue:deliver:start');
  started.bindStore(storage, (trace) => trace);
  closing({ close: () => started.unbindStore(storage) });
  const client = newClient();
  await bystander.put(queue, 1);
  const stored: unknown[] = [];
  const delivery = await new Promise<{ ack(): boolean; body: unknown }>((resolve) => {
    client.consume({ queue }).subscribe((one) => {
      stored.push(storage.getStore());
      resolve(one);
    });
  });
  expect(traces.map(({ step }) => step)).toEqual(['start', 'end']);
  expect(stored).toEqual([traces[0]?.trace]);
  delivery.ack();
  expect(traces.map(({ step }) => step)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  expect(traces[3]?.trace).toMatchObject({ message: delivery, settlement: 'ack' });
});

test('a delivery whose channel is lost has one event, `lost`, even if it is settled afterwards', async () => {
  const { bystander, newClient, proxy } = given;
  const settled = eventsOf('instance-queue:settle');
  const client = newClient({ reconnect: { min: 10, max: 10 } });
  await bystander.put(queue, 1);
  const deliveries: { ack(): boolean }[] = [];
  client.consume({ queue }).subscribe((delivery) => deliveries.push(delivery));
  await eventually(() => deliveries.length === 1);
  proxy.cut();
  await eventually(() => deliveries.length === 2);
  expect(deliveries[0]?.ack()).toBe(false);
  expect(deliveries[1]?.ack()).toBe(true);
  expect(settled).toEqual([
    { message: deliveries[0], settlement: 'lost' },
    { message: deliveries[1], settlement: 'ack' },
  ]);
});

test('with noAck there are events of deliveries and none of settlements', async () => {
  const { bystander, newClient } = given;
  const [delivered, settled] = [eventsOf('instance-queue:deliver'), eventsOf('instance-queue:settle')];
  const client = newClient();
  await bystander.put(queue, 1);
  client.consume({ queue, noAck: true }).subscribe();
  await eventually(() => delivered.length === 1);
  expect(settled).toEqual([]);
});
