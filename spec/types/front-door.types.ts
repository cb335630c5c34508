/** What the compiler lets through, and what it does not: a line under `@ts-expect-error` that compiles is an error. */
import {
  Connection,
  InstanceQueue,
  batch,
  bytes,
  handle,
  json,
  type Batch,
  type Confirmation,
  type ConnectionState,
  type Delivery,
  type Handled,
  type Health,
  type Message,
  type QueueSpec,
  type RetryPolicy,
  type Role,
} from 'instance-queue';
import { Logger } from '@nestjs/common';
import { pino } from 'pino';
import { of, type Observable } from 'rxjs';
import { createLogger } from 'winston';

interface Order {
  readonly id: string;
}
declare const orders$: Observable<Delivery<Order>>;
declare const parse: (value: unknown) => Order;

/** Compiles if both are the same type, and not just assignable to each other. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
function same<A, B>(_: Same<A, B>) {}

const queue = new InstanceQueue('amqp://localhost');

// ── construction ──
new InstanceQueue({ url: ['amqp://a', 'amqp://b'] });
new InstanceQueue({ url: () => Promise.resolve('amqp://a'), reconnect: { min: 50, attempts: 3 } });
// @ts-expect-error: a target is needed
new InstanceQueue();
// @ts-expect-error: no such option
new InstanceQueue({ url: 'amqp://a', retries: 3 });
// @ts-expect-error: the codec is an option of what consumes and produces
new Connection({ url: 'amqp://a', codec: bytes });

// ── logging ──
new InstanceQueue({ url: 'amqp://a', logger: 'info' });
new InstanceQueue({ url: 'amqp://a', logger: pino({ level: 'warn' }) });
new InstanceQueue({ url: 'amqp://a', logger: console });
new InstanceQueue({ url: 'amqp://a', logger: createLogger() });
new InstanceQueue({ url: 'amqp://a', logger: new Logger('queue') });
new InstanceQueue({ url: 'amqp://a', logger: ({ level, message, fields }) => [level, message, fields['err']] });
declare const bunyan: {
  debug(error: Error, ...params: unknown[]): void;
  debug(obj: object, ...params: unknown[]): void;
  info(obj: object, ...params: unknown[]): void;
  warn(obj: object, ...params: unknown[]): void;
  error(obj: object, ...params: unknown[]): void;
  child(options: object, simple?: boolean): typeof bunyan;
};
new InstanceQueue({ url: 'amqp://a', logger: bunyan });
// @ts-expect-error: no such level
new InstanceQueue({ url: 'amqp://a', logger: 'loud' });
// @ts-expect-error: warnings have to go somewhere
new InstanceQueue({ url: 'amqp://a', logger: { debug: console.debug, info: console.info, error: console.error } });

// ── consuming ──
same<Observable<Delivery<Order>>, ReturnType<typeof consumeOrders>>(true);
function consumeOrders() {
  return queue.consume<Order>({ queue: 'orders' });
}
same<Observable<Delivery<Order>>, typeof parsed$>(true);
const parsed$ = queue.consume({ queue: 'orders', codec: json(parse) });
same<Observable<Message<Order>>, typeof unsettled$>(true);
const unsettled$ = queue.consume<Order>({ queue: 'orders', noAck: true });
same<Observable<Delivery<unknown>>, typeof unknown$>(true);
const unknown$ = queue.consume({ queue: 'orders' });
same<Observable<Delivery<Buffer>>, typeof images$>(true);
const images$ = queue.consume({ queue: 'images', codec: bytes });
// @ts-expect-error: with noAck there is nothing to hold back
void queue.consume({ queue: 'orders', noAck: true, prefetch: 5 });
// @ts-expect-error: no such policy
void queue.consume({ queue: 'orders', onUndecodable: 'ignore' });
// @ts-expect-error: a queue is needed
void queue.consume({ prefetch: 5 });
void queue.consume({ queue: 'orders', pause: of(true, false) });
void queue.consume({ queue: 'log', offset: new Date(), onOffset: (offset) => offset.toFixed() });
// @ts-expect-error: no such place in a stream
void queue.consume({ queue: 'log', offset: 'middle' });
// @ts-expect-error: streams are read with acks
void queue.consume({ queue: 'log', noAck: true, offset: 'first' });
// @ts-expect-error: paused or not, nothing else
void queue.consume({ queue: 'orders', pause: of('now') });

declare const message: Message<Order>;
// @ts-expect-error: a message is for reading; deliveries are settled
message.ack();
// @ts-expect-error: what came cannot be changed
message.body = { id: 'x' };

// ── what RabbitMQ 4 knows ──
const stream: QueueSpec = {
  name: 's',
  type: 'stream',
  maxAge: '7D',
  maxLengthBytes: 1,
  segmentSize: 1,
  initialGroupSize: 3,
};
const quorum: QueueSpec = {
  name: 'q',
  type: 'quorum',
  delayedRetry: { type: 'all', min: 1, max: 2 },
  consumerTimeout: 1000,
  deadLetterStrategy: 'at-least-once',
  leaderLocator: 'balanced',
};
void queue.consume({ queue: stream, filter: 'eu' });
void queue.consume({ queue: stream, filter: ['eu', 'us'] as const });
void queue.consume({
  queue: stream,
  filter: { values: ['eu'], matchUnfiltered: true, matches: ({ content }) => content.length > 0 },
});
void queue.consume({ queue: quorum, consumerTimeout: 1000 });
void queue.send({ queue: 's', body: 1, streamFilter: 'eu' });
same<string | undefined, Message<unknown>['streamFilter']>(true);
// @ts-expect-error: days have a capital letter
void queue.consume({ queue: { name: 's', type: 'stream', maxAge: '7d' } });
// @ts-expect-error: without a time nothing waits
void queue.consume({ queue: { name: 'q', type: 'quorum', delayedRetry: {} } });
// @ts-expect-error: no such strategy
void queue.consume({ queue: { name: 'q', type: 'quorum', deadLetterStrategy: 'exactly-once' } });
// @ts-expect-error: nothing is settled, and so nothing can be late
void queue.consume({ queue: 'q', noAck: true, consumerTimeout: 1000 });
// @ts-expect-error: values are strings
void queue.send({ queue: 's', body: 1, streamFilter: 5 });

// ── handling ──
same<Observable<Handled<Order, number>>, typeof handled$>(true);
const handled$ = orders$.pipe(handle((order) => order.body.id.length));
void orders$.pipe(handle((order, { signal }) => (signal.aborted ? of(order.body.id) : Promise.resolve(order.body.id))));
// @ts-expect-error: work sees messages, the policy settles
void orders$.pipe(handle((order) => order.ack()));
// @ts-expect-error: no such policy
void orders$.pipe(handle(() => undefined, { onError: 'ignore' }));
void orders$.pipe(handle(() => 1, { key: ({ body }) => body.id, concurrency: of(1, 2) }));
// @ts-expect-error: numbers, not words
void orders$.pipe(handle(() => 1, { concurrency: of('many') }));
same<Observable<Batch<Order>>, typeof batch$>(true);
const batch$ = orders$.pipe(batch({ size: 10, within: 100 }));
// @ts-expect-error: without a time the last few would wait for ever
void orders$.pipe(batch({ size: 10 }));
declare const messages$: Observable<Message<Order>>;
// @ts-expect-error: what cannot be settled is not collected to be settled
void messages$.pipe(batch({ size: 10, within: 100 }));

// ── retrying ──
void orders$.pipe(handle(() => undefined, { onError: queue.retry({ attempts: 3, delay: 1000 }) }));
void queue.retry({ attempts: Infinity, delay: [10, 100], then: { queue: 'parked' }, waitIn: 'quorum' });
void queue.retry({ attempts: 3, delay: 10, waitIn: 'queue' });
void orders$.pipe(
  handle((order) => order.body.id, {
    onError: (error, order) =>
      order.body.id === '' ? 'reject' : queue.retry<Order>({ attempts: 3, delay: 1000 })(error, order),
  }),
);
// Options that another operator shares say nothing about the body: its type is that of the deliveries.
const later = queue.retry({ attempts: 3, delay: 1000 });
const laterOrder = queue.retry<Order>({ attempts: 3, delay: 1000 });
const byId = ({ body }: Message<Order>) => body.id;
void orders$.pipe(handle(({ body }) => same<Order, typeof body>(true), { onError: later }));
void orders$.pipe(handle(({ body }) => same<Order, typeof body>(true), { onError: laterOrder, key: byId }));
void orders$.pipe(handle((message) => byId(message), { onError: later }));
same<Observable<Handled<Order, string>>, typeof shared$>(true);
const shared$ = orders$.pipe(handle(({ body }) => body.id, { onError: later, key: ({ body }) => body.id }));
void queue.respond<Order, string>({ queue: 'orders' }, ({ body }) => body.id, { onError: later });
void queue.respond({ queue: 'orders', codec: json(parse) }, ({ body }) => same<Order, typeof body>(true), {
  onError: later,
});
declare const laterNumber: RetryPolicy<number>;
// @ts-expect-error: a policy for other bodies
void orders$.pipe(handle(({ body }) => body.id, { onError: laterNumber }));
// @ts-expect-error: work on other bodies
void orders$.pipe(handle(({ body }: Message<number>) => body, { onError: later }));
// @ts-expect-error: it has to end somewhere
void queue.retry({ delay: 1000 });
// @ts-expect-error: one route, not two
void queue.retry({ attempts: 3, delay: 1000, then: { queue: 'a', exchange: 'b' } });

// ── asking and answering ──
same<Promise<Message<Order>>, ReturnType<typeof askForOrder>>(true);
function askForOrder() {
  return queue.request<Order>({ queue: 'orders', body: 'a' }, { codec: json(parse), idempotent: true, timeout: 1000 });
}
same<Observable<Handled<Order, string>>, typeof answered$>(true);
const answered$ = queue.respond<Order, string>({ queue: 'orders' }, ({ body }) => Promise.resolve(body.id), {
  concurrency: 5,
});
// @ts-expect-error: what is not settled cannot wait for its reply
void queue.respond({ queue: 'orders', noAck: true }, () => 1);
// @ts-expect-error: the codec of a reply reads what the caller expects
void queue.request<Order>({ queue: 'orders', body: 'a' }, { codec: bytes });

// ── producing ──
same<Promise<Confirmation>, ReturnType<typeof sendOrder>>(true);
function sendOrder() {
  return queue.send<Order>({ queue: 'orders', body: { id: 'a' }, correlationId: 'c', expiration: 1000 });
}
void queue.send({ exchange: 'orders', routingKey: 'new', body: 'text' });
// @ts-expect-error: one route, not two
void queue.send({ queue: 'orders', exchange: 'orders', body: 'text' });
// @ts-expect-error: a route is needed
void queue.send({ body: 'text' });
// @ts-expect-error: the default exchange with a routing key is spelled `queue`
void queue.send({ queue: 'orders', routingKey: 'new', body: 'text' });
// @ts-expect-error: a producer of orders sends orders
void queue.producer<Order>().send({ queue: 'orders', body: 'text' });
const images = queue.producer({ codec: bytes });
void images.send({ queue: 'images', body: new Uint8Array(2) });
void images.send({ queue: 'images', body: new ArrayBuffer(2) });
// @ts-expect-error: text is no bytes
void images.send({ queue: 'images', body: 'text' });

// ── state, events, health ──
queue.on('connected', (state, role) => {
  same<Extract<ConnectionState, { status: 'connected' }>, typeof state>(true);
  same<Role, typeof role>(true);
});
queue.on('blocked', (reason, role) => {
  same<[string, Role], [typeof reason, typeof role]>(true);
});
// @ts-expect-error: there is no 'error' event
queue.on('error', () => undefined);
// @ts-expect-error: state is read, not written
queue.state = queue.state;
// @ts-expect-error: a stream of states has no next()
queue.state$.next(queue.state);

function describe(state: ConnectionState): string {
  switch (state.status) {
    case 'disconnected':
    case 'closing':
      return state.status;
    case 'connecting':
      return `attempt ${state.attempt}`;
    case 'connected':
      return `${state.endpoint}, epoch ${state.epoch}`;
    case 'reconnecting':
      return `${state.cause.code}, again in ${state.delay} ms`;
    case 'closed':
      return state.cause?.code ?? 'closed';
  }
}
describe(queue.state.consumer);
same<'up' | 'degraded' | 'down', Health['status']>(true);

// ── disposal ──
export async function disposed() {
  await using queue = new InstanceQueue('amqp://localhost');
  await using connection = new Connection('amqp://localhost');
  // @ts-expect-error: it takes a while, so `using` alone is not enough
  using late = new InstanceQueue('amqp://localhost');
  return [queue, connection, late];
}
