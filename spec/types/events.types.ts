/** The events of each emitter, and no others. A line under `@ts-expect-error` that compiles is an error. */
import { on, once, type EventEmitter } from 'node:events';
import { fromEvent } from 'rxjs';
import {
  Connection,
  InstanceQueue,
  type Confirmation,
  type ConnectionState,
  type ConsumerError,
  type ConsumerState,
  type Message,
  type PublishError,
  type Role,
} from 'instance-queue';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
function same<A, B>(_: Same<A, B>) {}

const queue = new InstanceQueue('amqp://localhost');
const connection = new Connection('amqp://localhost');
const consumer = queue.consumer<Order>({ queue: 'orders' });
const producer = queue.producer<Order>();
interface Order {
  readonly id: string;
}
declare const anyName: string;
const ignore = (): void => undefined;

// ── the known ones, with their arguments ──
queue
  .on('reconnecting', (state, role) => {
    same<[Extract<ConnectionState, { status: 'reconnecting' }>, Role], [typeof state, typeof role]>(true);
  })
  .once('unblocked', (role) => {
    same<Role, typeof role>(true);
  });
connection.addListener('closed', (state) => {
  same<Extract<ConnectionState, { status: 'closed' }>, typeof state>(true);
});
consumer.prependListener('attached', (state) => {
  same<Extract<ConsumerState, { status: 'attached' }>, typeof state>(true);
});
consumer.on('undecodable', (message, cause) => {
  same<[Message<Buffer>, ConsumerError], [typeof message, typeof cause]>(true);
});
producer.prependOnceListener('confirmed', (confirmation) => {
  same<Confirmation, typeof confirmation>(true);
});
producer.on('returned', (cause) => {
  same<PublishError, typeof cause>(true);
});
queue.off('connected', ignore).removeListener('closed', ignore).removeAllListeners('blocked').removeAllListeners();
same<number, ReturnType<typeof counted>>(true);
function counted() {
  return queue.listenerCount('connected') + queue.listenerCount('connected', ignore) + queue.listeners('closed').length;
}
queue.emit('unblocked', 'producer');

// ── no others ──
// @ts-expect-error: misspelt
queue.on('recconnecting', ignore);
// @ts-expect-error: misspelt
queue.on('recconnecting', (state: unknown) => state);
// @ts-expect-error: misspelt
queue.once('conected', ignore);
// @ts-expect-error: misspelt
queue.off('conected', ignore);
// @ts-expect-error: misspelt
queue.addListener('conected', ignore);
// @ts-expect-error: misspelt
queue.removeListener('conected', ignore);
// @ts-expect-error: misspelt
queue.prependListener('conected', ignore);
// @ts-expect-error: misspelt
queue.prependOnceListener('conected', ignore);
// @ts-expect-error: misspelt
queue.emit('conected');
// @ts-expect-error: misspelt
queue.listenerCount('conected');
// @ts-expect-error: misspelt
queue.listeners('conected');
// @ts-expect-error: misspelt
queue.rawListeners('conected');
// @ts-expect-error: misspelt
queue.removeAllListeners('conected');
// @ts-expect-error: nothing emits symbols
queue.on(Symbol('connected'), ignore);
// @ts-expect-error: whatever a string holds
queue.on(anyName, ignore);
// @ts-expect-error: there is no 'error' event
connection.on('error', ignore);
// @ts-expect-error: that is an event of consumers
connection.on('attached', ignore);
// @ts-expect-error: that is an event of connections
consumer.on('connected', ignore);
// @ts-expect-error: that is an event of consumers
producer.on('lost', ignore);

// ── with the arguments that they have ──
// @ts-expect-error: a state comes first
queue.on('connected', (state: string) => state);
// @ts-expect-error: the role is missing
queue.emit('unblocked');

// ── they stay emitters of Node's, for whatever takes one ──
class Audited extends InstanceQueue {
  constructor() {
    super('amqp://localhost');
    this.on('connected', ({ epoch }) => epoch.toFixed());
  }
}
export const emitters: readonly EventEmitter[] = [queue, connection, consumer, producer, new Audited()];
void once(queue, 'connected');
void on(connection, 'closed').next();
fromEvent(consumer, 'attached').subscribe();
