/** Contracts: what the compiler lets through, and what it does not. */
import {
  InstanceQueue,
  bytes,
  defineExchange,
  defineQueue,
  handle,
  json,
  publish,
  type Codec,
  type Confirmation,
  type ConsumeOptions,
  type Consumer,
  type Delivery,
  type ExchangeContract,
  type Message,
  type OutboundMessage,
  type QueueContract,
  type QueueSpec,
} from 'instance-queue';
import { MemoryBroker } from 'instance-queue/testing';
import { map, merge, of, type Observable, type OperatorFunction } from 'rxjs';
import { z } from 'zod';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
function same<A, B>(_: Same<A, B>) {}

// ── definitions ──
const text = json<string>();
const orderSchema = z.object({
  id: z.number(),
  at: z.string().transform((at) => new Date(at)),
  status: z.enum(['open', 'paid']),
});
type OrderIn = z.input<typeof orderSchema>;
type Order = z.output<typeof orderSchema>;
interface Paid {
  readonly paid: number;
}
interface Cancelled {
  readonly reason: string;
}
interface Refund {
  readonly refund: true;
}
const orders = defineQueue({ name: 'orders', type: 'quorum', body: json(orderSchema) });
same<QueueContract<OrderIn, Order>, typeof orders>(true);
const prices = defineQueue({ name: 'prices', body: text, reply: json(z.string().transform(Number)) });
same<QueueContract<string, string, number, string>, typeof prices>(true);
const events = defineExchange({
  name: 'events',
  type: 'topic',
  messages: {
    'order.paid': json<Paid>(),
    'order.*.cancelled': json<Cancelled>(),
    'order.de.refund': json<Refund>(),
    'log.#': text,
  },
});
const shipping = defineQueue({ name: 'shipping', bind: [events.on('order.paid', 'order.*.cancelled')] });
same<QueueContract<never, Paid | Cancelled>, typeof shipping>(true);
const audit = defineQueue({ name: 'audit', body: bytes, bind: [events.on('log.#'), events.on('order.de.#')] });
same<Delivery<Buffer | string | Cancelled | Refund>, ElementOf<ReturnType<typeof auditing>>>(true);
type ElementOf<O> = O extends Observable<infer T> ? T : never;
function auditing() {
  return queue.consume({ queue: audit });
}
// Without a key: all of them.
const everything = defineQueue({ name: 'everything', bind: [events.on()] });
same<QueueContract<never, Paid | Cancelled | Refund | string>, typeof everything>(true);
// @ts-expect-error: there is no such message
events.on('order.payed');
// @ts-expect-error: nor one that the pattern could match
events.on('orders.*');
// @ts-expect-error: it needs a body or bindings
defineQueue({ name: 'orders' });
// @ts-expect-error: no such option of a queue
defineQueue({ name: 'orders', body: text, durabel: true });
// @ts-expect-error: messages are codecs
defineExchange({ name: 'events', type: 'topic', messages: { 'order.paid': orderSchema } });

// ── sending to a queue ──
const queue = new InstanceQueue('amqp://localhost');
void queue.send({ queue: orders, body: { id: 1, at: '2026-01-01', status: 'paid' } });
void queue.send(
  { queue: orders, body: { id: 1, at: '', status: 'open' }, correlationId: 'a', persistent: false },
  { timeout: 1 },
);
// @ts-expect-error: a wrong body
void queue.send({ queue: orders, body: { nonsense: true } });
// @ts-expect-error: the output is not the input
void queue.send({ queue: orders, body: { id: 1, at: new Date(), status: 'paid' } });
// @ts-expect-error: no such status
void queue.send({ queue: orders, body: { id: 1, at: '', status: 'lost' } });
// @ts-expect-error: one member too many
void queue.send({ queue: orders, body: { id: 1, at: '', status: 'paid', extra: 1 } });
// @ts-expect-error: a body is needed
void queue.send({ queue: orders });
// @ts-expect-error: one route, not two
void queue.send({ queue: orders, exchange: events, routingKey: 'order.paid', body: { paid: 1 } });
// @ts-expect-error: a queue has no routing key
void queue.send({ queue: orders, routingKey: 'order.paid', body: { id: 1, at: '', status: 'paid' } });
// @ts-expect-error: it gets its messages from exchanges alone
void queue.send({ queue: shipping, body: { paid: 1 } });
// @ts-expect-error: an exchange is no queue
void queue.send({ queue: events, body: { paid: 1 } });
// @ts-expect-error: a type parameter does not change the contract
void queue.send<{ nonsense: true }>({ queue: orders, body: { nonsense: true } });

// ── sending to an exchange ──
declare const country: string;
void queue.send({ exchange: events, routingKey: 'order.paid', body: { paid: 1 } });
void queue.send({ exchange: events, routingKey: 'order.de.cancelled', body: { reason: 'late' } });
void queue.send({ exchange: events, routingKey: `order.${country}.cancelled` as const, body: { reason: 'late' } });
void queue.send({ exchange: events, routingKey: 'order.de.refund', body: { refund: true } });
void queue.send({ exchange: events, routingKey: 'log', body: 'text' });
void queue.send({ exchange: events, routingKey: 'log.a.b.c', body: 'text' });
// @ts-expect-error: the body of another key
void queue.send({ exchange: events, routingKey: 'order.paid', body: { reason: 'late' } });
// @ts-expect-error: a wrong body for a key that a pattern matches
void queue.send({ exchange: events, routingKey: 'order.de.cancelled', body: { paid: 1 } });
// @ts-expect-error: an exact key goes before a pattern
void queue.send({ exchange: events, routingKey: 'order.de.refund', body: { reason: 'late' } });
// @ts-expect-error: misspelt
void queue.send({ exchange: events, routingKey: 'order.payed', body: { paid: 1 } });
// @ts-expect-error: two words where the pattern has one
void queue.send({ exchange: events, routingKey: 'order.de.by.cancelled', body: { reason: 'late' } });
// @ts-expect-error: a pattern is for binding
void queue.send({ exchange: events, routingKey: 'order.*.cancelled', body: { reason: 'late' } });
// @ts-expect-error: any string is no key of the contract
void queue.send({ exchange: events, routingKey: country, body: { paid: 1 } });
// @ts-expect-error: a key is needed
void queue.send({ exchange: events, body: { paid: 1 } });
declare const eitherKey: 'order.paid' | 'order.de.cancelled';
void queue.send({ exchange: events, routingKey: eitherKey, body: { paid: 1, reason: 'late' } });
// @ts-expect-error: it has to fit both keys
void queue.send({ exchange: events, routingKey: eitherKey, body: { paid: 1 } });
const fanout = defineExchange({ name: 'all', type: 'fanout', messages: { '': text } });
void queue.send({ exchange: fanout, body: 'text' });
void queue.send({ exchange: fanout, routingKey: '', body: 'text' });
// @ts-expect-error: a wrong body
void queue.send({ exchange: fanout, body: 1 });

// ── producers ──
const producer = queue.producer<number>();
void producer.send({ queue: 'numbers', body: 1 });
void producer.send({ queue: orders, body: { id: 1, at: '', status: 'paid' } });
void producer.send({ exchange: events, routingKey: 'order.paid', body: { paid: 1 } });
// @ts-expect-error: a wrong body
void producer.send({ queue: orders, body: 1 });
// @ts-expect-error: misspelt
void producer.send({ exchange: events, routingKey: 'order.payed', body: { paid: 1 } });

// ── publishing a stream ──
const open: { readonly queue: typeof orders; readonly body: OrderIn } = {
  queue: orders,
  body: { id: 1, at: '', status: 'open' },
};
void queue.publish([{ queue: orders, body: { id: 1, at: '', status: 'paid' } }]);
void queue.publish([open, { exchange: events, routingKey: 'order.paid', body: { paid: 1 } }, { queue: 'a', body: 1 }]);
// @ts-expect-error: a wrong body
void queue.publish([{ queue: orders, body: { nonsense: true } }]);
// @ts-expect-error: one of them has a wrong body
void queue.publish([open, { queue: orders, body: { nonsense: true } }]);
// @ts-expect-error: misspelt
void queue.publish([{ exchange: events, routingKey: 'order.payed', body: { paid: 1 } }]);
void queue.sendAll([{ queue: orders, body: { id: 1, at: '', status: 'paid' } }]);
void queue.sendAll([open, { exchange: events, routingKey: 'order.paid', body: { paid: 1 } }, { queue: 'a', body: 1 }]);
void producer.sendAll([1, 2].map((body) => ({ queue: 'numbers', body })));
// @ts-expect-error: one of them has a wrong body
void queue.sendAll([open, { queue: orders, body: { nonsense: true } }]);
// @ts-expect-error: misspelt
void queue.sendAll([{ exchange: events, routingKey: 'order.payed', body: { paid: 1 } }]);
// @ts-expect-error: a wrong body for this producer
void producer.sendAll([{ queue: 'numbers', body: 'one' }]);
const orders$ = of<OrderIn>({ id: 1, at: '', status: 'paid' }).pipe(map((body) => ({ queue: orders, body })));
const paid$ = of(1).pipe(map((paid) => ({ exchange: events, routingKey: 'order.paid' as const, body: { paid } })));
const misspelt$ = of(1).pipe(map((paid) => ({ exchange: events, routingKey: 'order.payed' as const, body: { paid } })));
const wrong$ = of('text').pipe(map((body) => ({ queue: orders, body })));
const plain$ = of('text').pipe(map((body) => ({ queue: 'plain', body })));
same<Observable<Confirmation>, typeof published$>(true);
const published$ = orders$.pipe(queue.publish());
void merge(orders$, paid$, plain$).pipe(queue.publish());
void plain$.pipe(queue.publish({ concurrency: 5 }));
void orders$.pipe(publish(producer));
// @ts-expect-error: a wrong body
void wrong$.pipe(queue.publish());
// @ts-expect-error: no such key
void misspelt$.pipe(queue.publish());
// @ts-expect-error: a wrong body
void wrong$.pipe(publish(producer));
export const operators: readonly OperatorFunction<OutboundMessage<number>, Confirmation>[] = [
  queue.publish(),
  queue.publish<number>(),
  publish(producer),
];

// ── consuming ──
same<Observable<Delivery<Order>>, typeof consumed$>(true);
const consumed$ = queue.consume({ queue: orders, prefetch: 5 });
same<Observable<Message<Order>>, typeof unsettled$>(true);
const unsettled$ = queue.consume({ queue: orders, noAck: true });
same<Observable<Delivery<Paid | Cancelled>>, typeof shipping$>(true);
const shipping$ = queue.consume({ queue: shipping });
same<Consumer<Order>, typeof consumer>(true);
const consumer = queue.consumer({ queue: orders });
void queue.consume({ queue: orders }).pipe(handle(({ body }) => body.at.getTime()));
// @ts-expect-error: the contract says what the body is
void queue.consume<{ nonsense: true }>({ queue: orders });
// @ts-expect-error: a codec for other bodies
void queue.consume<Order>({ queue: orders, codec: bytes });
// @ts-expect-error: an exchange is no queue
void queue.consume({ queue: events });
// Plain names and specs go on as before.
same<Observable<Delivery<unknown>>, typeof unknown$>(true);
const unknown$ = queue.consume({ queue: 'orders' });
same<Observable<Delivery<Order>>, typeof asserted$>(true);
const asserted$ = queue.consume<Order>({ queue: { name: 'orders' } });
declare const stored: ConsumeOptions<Order>;
same<Observable<Delivery<Order>>, typeof fromOptions$>(true);
const fromOptions$ = queue.consume(stored);

// ── asking and answering ──
const statuses = defineQueue({ name: 'statuses', body: text, reply: json<{ status: 'open' | 'closed' }>() });
same<Promise<Message<number>>, ReturnType<typeof ask>>(true);
function ask() {
  return queue.request({ queue: prices, body: 'apples' });
}
same<Promise<Message<Order>>, ReturnType<typeof askWithoutReply>>(true);
function askWithoutReply() {
  return queue.request({ queue: orders, body: { id: 1, at: '', status: 'paid' } }, { codec: json(orderSchema) });
}
// @ts-expect-error: a wrong body
void queue.request({ queue: prices, body: 1 });
void queue.respond({ queue: prices }, ({ body }) => `${body.length}`);
void queue.respond({ queue: prices }, ({ body }) => Promise.resolve(body));
void queue.respond({ queue: orders }, ({ body }) => body.at);
void queue.respond(stored, ({ body }) => body.at);
void queue.respond<Order, Date>(stored, ({ body }) => body.at);
void queue.respond<Order>({ queue: 'orders' }, ({ body }) => body.at);
void queue.respond({ queue: statuses }, () => ({ status: 'open' as const }));
// @ts-expect-error: no such status
void queue.respond({ queue: statuses }, () => ({ status: 'lost' as const }));
// @ts-expect-error: a wrong reply
void queue.respond({ queue: prices }, () => 7);
// @ts-expect-error: a wrong reply, later
void queue.respond({ queue: prices }, () => Promise.resolve(7));
// @ts-expect-error: a number has no length
void queue.respond({ queue: prices }, ({ body }) => body.nothing);

// ── topology, admin, doubles ──
new InstanceQueue({
  url: 'amqp://a',
  names: 'declared',
  topology: { exchanges: [events], queues: [orders, shipping] },
});
same<Promise<Delivery<Order> | undefined>, ReturnType<typeof getOrder>>(true);
function getOrder() {
  return queue.admin.get(orders);
}
void queue.admin.inspect(orders);
void queue.admin.purge(orders);
void queue.admin.delete({ queue: orders });
void queue.admin.delete({ exchange: events, ifUnused: true });
void queue.admin.declare({ queues: [orders] });
const broker = new MemoryBroker();
broker.put({ queue: orders, body: { id: 1, at: '', status: 'paid' } });
broker.put({ exchange: events, routingKey: 'order.paid', body: { paid: 1 } });
// @ts-expect-error: a wrong body
broker.put({ queue: orders, body: 1 });
broker.messages(orders);

// ── contracts as values ──
declare function ship<In extends Paid, Out>(contract: QueueContract<In, Out>): Out;
export const anyOfThem: readonly QueueContract<never, unknown, unknown, never>[] = [orders, prices, shipping];
export const spec: QueueSpec = orders;
// @ts-expect-error: what is sent to it is something else
export const other: QueueContract<string, Order> = orders;
// @ts-expect-error: a spec is no contract
export const none: QueueContract<string> = { name: 'orders' };
declare const exchange: ExchangeContract<{ readonly 'order.paid': Codec<Paid> }>;
void queue.send({ exchange, routingKey: 'order.paid', body: { paid: 1 } });
