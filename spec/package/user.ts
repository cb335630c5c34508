// The program of a user: the trial compiles it under `strict`, as CommonJS and as ESM, against the packed tarball.
import { InstanceQueue, type Delivery, type InstanceQueueState, type Worker } from 'instance-queue';
import { liveness, probes, readiness } from 'instance-queue/health';
import { traceSends, traced } from 'instance-queue/opentelemetry';
import { FakeInstanceQueue, FaultProxy, fakeDelivery, type FakeDelivery } from 'instance-queue/testing';
import { createServer } from 'node:http';
import { map, type Observable } from 'rxjs';

interface Order {
  id: string;
}

const queue = new InstanceQueue('amqp://localhost');
const ids$: Observable<string> = queue
  .consume<Order>({ queue: 'orders' })
  .pipe(map((order: Delivery<Order>) => order.body.id));
const stop = traceSends();
stop();
const work: Worker<Order, string> = traced(({ body }) => body.id);
const state: InstanceQueueState = queue.state;
queue.on('closed', (closed, role) => console.log(role, closed.status));
if (state.consumer.status !== 'disconnected')
  throw new Error(`nobody has connected, and yet: ${state.consumer.status}`);
const { statusCode, body } = readiness(queue);
if (statusCode !== 503 || body.reasons[0]?.of !== 'nothing')
  throw new Error(`nobody has connected, and yet: ${JSON.stringify(body)}`);
console.log(liveness().body.alive);
createServer(probes(queue));
void queue.close().then(({ unsettled }) => console.log(unsettled, typeof ids$, typeof work));

const delivery: FakeDelivery<Order> = fakeDelivery({ id: 'a' }, { queue: 'orders' });
if (!delivery.ack() || delivery.settled !== 'ack') throw new Error(`acked, and yet: ${String(delivery.settled)}`);
async function tested(double: FakeInstanceQueue): Promise<void> {
  const real: InstanceQueue = double;
  await real.send({ queue: 'orders', body: { id: 'a' } });
  await double.rest();
  if (double.broker.messages('orders').length !== 1) throw new Error('sent, and yet nowhere');
  await real.close();
}
void tested(new FakeInstanceQueue()).then(() => console.log(typeof FaultProxy.before));
