// The program of a user: the trial compiles it under `strict`, as CommonJS and as ESM, against the packed tarball.
import { InstanceQueue, type Delivery, type InstanceQueueState } from 'instance-queue';
import { map, type Observable } from 'rxjs';

interface Order {
  id: string;
}

const queue = new InstanceQueue('amqp://localhost');
const ids$: Observable<string> = queue
  .consume<Order>({ queue: 'orders' })
  .pipe(map((order: Delivery<Order>) => order.body.id));
const state: InstanceQueueState = queue.state;
queue.on('closed', (closed, role) => console.log(role, closed.status));
if (state.consumer.status !== 'disconnected')
  throw new Error(`nobody has connected, and yet: ${state.consumer.status}`);
void queue.close().then(({ unsettled }) => console.log(unsettled, typeof ids$));
