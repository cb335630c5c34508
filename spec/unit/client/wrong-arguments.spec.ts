import {
  batch,
  Connection,
  Consumer,
  handle,
  InstanceQueue,
  InstanceQueueError,
  Producer,
  publish,
} from 'instance-queue';
import { probes, readiness } from 'instance-queue/health';
import { meter, traced } from 'instance-queue/opentelemetry';
import { register } from 'instance-queue/prometheus';
import { deadLetters, tail } from 'instance-queue/tools';
import { Registry } from 'prom-client';

/** What a caller without a compiler, or with a cast, may pass: each in place of an object. */
const WRONG: readonly (readonly [got: string, value: unknown])[] = [
  ['null', null],
  ['string', 'orders'],
  ['number', 5],
  ['boolean', true],
  ['array', ['orders']],
  ['function', () => 'orders'],
  ['symbol', Symbol('orders')],
];

const given = { url: 'amqp://localhost:1', logger: 'silent' } as const;
let queue: InstanceQueue;
let connection: Connection;

beforeAll(() => {
  queue = new InstanceQueue(given);
  connection = new Connection(given);
});
afterAll(() => Promise.all([queue.close(), connection.close()]));

/** The calls that take an object, with a cast in place of the compiler. */
const CALLS: readonly (readonly [name: string, call: (value: never) => unknown])[] = [
  ['new InstanceQueue(…)', (value) => new InstanceQueue(value)],
  ['new Connection(…)', (value) => new Connection(value)],
  ['new Producer(…)', (value) => new Producer(value)],
  ['new Producer(connection, …)', (value) => new Producer(connection, value)],
  ['new Consumer(…)', (value) => new Consumer(value, { queue: 'orders' })],
  ['new Consumer(connection, …)', (value) => new Consumer(connection, value)],
  ['queue.consume', (value) => queue.consume(value)],
  ['queue.consumer', (value) => queue.consumer(value)],
  ['queue.producer', (value) => queue.producer(value)],
  ['queue.send', (value) => queue.send(value)],
  ['queue.send(message, …)', (value) => queue.send({ queue: 'orders', body: 1 }, value)],
  ['queue.sendAll', (value) => queue.sendAll(value)],
  ['queue.sendAll([…])', (value) => queue.sendAll([value])],
  ['queue.request', (value) => queue.request(value)],
  ['queue.request(message, …)', (value) => queue.request({ queue: 'orders', body: 1 }, value)],
  ['queue.respond', (value) => queue.respond(value, () => 1)],
  ['queue.publish', (value) => queue.publish(value)],
  ['queue.partitioned', (value) => queue.partitioned(value)],
  ['queue.close', (value) => queue.close(value)],
  ['queue.admin.declare', (value) => queue.admin.declare(value)],
  ['queue.admin.browse(name, …)', (value) => queue.admin.browse('orders', value)],
  ['handle(work, …)', (value) => handle(() => undefined, value)],
  ['batch', (value) => batch(value)],
  ['queue.retry', (value) => queue.retry(value)],
  ['publish', (value) => publish(value, [])],
  ['publish(producer, messages, …)', (value) => publish(queue, [], value)],
  ['letters.look', (value) => deadLetters(queue, 'orders.dead').look(value)],
  ['letters.replay', (value) => deadLetters(queue, 'orders.dead').replay(value)],
  ['letters.move', (value) => deadLetters(queue, 'orders.dead').move(value)],
  ['tail', (value) => tail(queue, value)],
  ['register', (value) => register(value, new Registry())],
  ['register(queue, …)', (value) => register(queue, value)],
  ['register(queue, registry, …)', (value) => register(queue, new Registry(), value)],
  ['meter', (value) => meter(value)],
  ['meter(queue, …)', (value) => meter(queue, value)],
  ['traced', (value) => traced(value)],
  ['probes', (value) => probes(value)],
  ['probes(queue, …)', (value) => probes(queue, value)],
  ['readiness', (value) => readiness(value)],
  ['readiness(queue, …)', (value) => readiness(queue, value)],
];

/** Some calls take a string or a list, too. */
const FITTING = new Set([
  'new InstanceQueue(…) string',
  'new Connection(…) string',
  'queue.sendAll array',
  'queue.publish array',
  'traced function',
]);

const cases = CALLS.flatMap(([name, call]) => WRONG.map(([got, value]) => ({ name, got, call, value })));

test.each(cases.filter(({ name, got }) => !FITTING.has(`${name} ${got}`)))(
  '$name refuses a value that is no object ($got), and says so',
  async ({ call, got, value }) => {
    const error: unknown = await new Promise((resolve) => {
      resolve(call(value as never));
    }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InstanceQueueError);
    expect(String(error)).toContain(got);
  },
);
