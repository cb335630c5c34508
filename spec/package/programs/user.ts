// The program of a user: the trial compiles it under `strict`, as CommonJS and as ESM, against the packed tarball, and
// runs it against a broker.
import { handle, InstanceQueue, OptionsError, type InstanceQueueState, type Worker } from 'instance-queue';
import { liveness, probes, readiness } from 'instance-queue/health';
import { InstanceQueueModule, InstanceQueueServer, nestLogger, Subscribe } from 'instance-queue/nestjs';
import { meter, traceSends, traced } from 'instance-queue/opentelemetry';
import { register } from 'instance-queue/prometheus';
import { FakeInstanceQueue, FaultProxy, fakeDelivery, type FakeDelivery } from 'instance-queue/testing';
import { deadLetters } from 'instance-queue/tools';
import { createServer } from 'node:http';
import { Registry } from 'prom-client';
import { firstValueFrom, lastValueFrom, map, timeout, type Observable } from 'rxjs';

interface Order {
  id: string;
}

function expect(so: boolean, what: string): void {
  if (!so) throw new Error(`Not so: ${what}`);
}

async function main(): Promise<void> {
  const url = process.env['AMQP_URL'];
  if (url === undefined) throw new Error('AMQP_URL names no broker.');
  try {
    new InstanceQueue({ url, heartbeat: -1 });
    expect(false, 'wrong options are refused');
  } catch (error) {
    expect(error instanceof OptionsError && error.option === 'heartbeat', `an OptionsError, but ${String(error)}`);
  }

  const queue = new InstanceQueue(url);
  const state: InstanceQueueState = queue.state;
  expect(state.consumer.status === 'disconnected', 'nobody has connected');
  expect(readiness(queue).body.reasons[0]?.of === 'nothing', 'nothing was asked for');
  expect(liveness().body.alive, 'it is alive');
  createServer(probes(queue));
  queue.on('closed', (closed, role) => console.log(role, closed.status));

  const registry = new Registry();
  register(queue, registry);
  meter(queue);
  const stop = traceSends();
  const work: Worker<Order, string> = traced(({ body }) => body.id);
  const name = `trial-${String(process.pid)}-${String(Date.now())}`;
  const ids$: Observable<string | undefined> = queue
    .consume<Order>({ queue: { name, expires: 60_000 } })
    .pipe(handle(work))
    .pipe(map(({ value }) => value));
  const first = firstValueFrom(ids$.pipe(timeout(20_000)));
  const { messageId } = await queue.send({ queue: name, body: { id: 'o-1' } });
  expect(messageId !== '', 'it is confirmed');
  expect((await first) === 'o-1', 'what was sent is worked on');
  const scraped = await registry.metrics();
  expect(scraped.includes(`instance_queue_acked_total{queue="${name}"} 1`), 'it is counted by its queue');
  expect(readiness(queue, { from: 'degraded' }).statusCode === 200, 'it is ready');
  const { read } = await lastValueFrom(deadLetters(queue, name).groups());
  expect(read === 0, 'no letter is left');
  stop();
  const { unsettled, unconfirmed } = await queue.close();
  expect(unsettled === 0 && unconfirmed === 0, 'nothing is left behind');
  await tested(new FakeInstanceQueue());
  nested(url);
}

function nested(url: string): void {
  const { global } = InstanceQueueModule.forRoot({ url, logger: nestLogger() });
  expect(global === true, 'the module is for all modules');
  expect(typeof Subscribe({ queue: 'orders' }) === 'function', 'a decorator is a function');
  const { transportId } = new InstanceQueueServer({ url, queue: 'orders' });
  expect(typeof transportId === 'symbol', 'the server is a transport');
}

async function tested(double: FakeInstanceQueue): Promise<void> {
  const delivery: FakeDelivery<Order> = fakeDelivery({ id: 'a' }, { queue: 'orders' });
  expect(delivery.ack() && delivery.settled === 'ack', 'a fake delivery can be acked');
  const real: InstanceQueue = double;
  await real.send({ queue: 'orders', body: { id: 'a' } });
  await double.rest();
  expect(double.broker.messages('orders').length === 1, 'what was sent lies in the queue');
  await real.close();
  expect(typeof FaultProxy.before === 'function', 'the fault proxy is there');
}

/** A test runner waits for it; run as a program, its rejection ends the process. */
export const finished = main();
