import { pino } from 'pino';
import { InstanceQueue, type ConsumerHealth, type Delivery, type Health } from 'instance-queue';
import { readiness } from 'instance-queue/health';
import type { Observable } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { eventually, until } from '../../support/waiting';

const { url } = sharedBroker();
afterEach(closeAll);

const lines: Record<string, unknown>[] = [];
const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
beforeEach(() => lines.splice(0));

const stalled = ({ consumers }: Health): ConsumerHealth | undefined => consumers.find((consumer) => consumer.stalled);

describe.each<[string, (queue: InstanceQueue, name: string) => Observable<Delivery<unknown>>]>([
  ['consume()', (queue, name) => queue.consume({ queue: name, prefetch: 3 })],
  ['a Consumer', (queue, name) => queue.consumer({ queue: name, prefetch: 3 }).deliveries$],
])('a consumer made by %s that settles nothing at its prefetch', (_how, consuming) => {
  it('is named by the health, by readiness and by the log, and is not unhealthy', async () => {
    const bystander = closing(await Bystander.at(url));
    const name = await bystander.declareQueue();
    await bystander.put(name, 1, 2, 3, 4, 5);
    const logger = pino({ level: 'info', base: null }, { write });
    const queue = closing(new InstanceQueue({ url, downAfter: 150, logger }));
    const deliveries: Delivery<unknown>[] = [];
    consuming(queue, name).subscribe((delivery) => deliveries.push(delivery));

    const health = await until(queue.health$, (one) => stalled(one) !== undefined);
    expect(health.status).toBe('up');
    expect(stalled(health)).toMatchObject({
      queueName: name,
      status: 'attached',
      stalled: { unsettled: 3, prefetch: 3, since: expect.any(Date) as Date },
    });
    const { statusCode, body } = readiness(queue);
    expect(statusCode).toBe(200);
    expect(body.reasons).toEqual([
      {
        of: 'consumer',
        queue: name,
        status: 'stalled',
        message: expect.stringMatching(/3 .*prefetch.*settled/) as string,
      },
    ]);
    await eventually(() => lines.find(({ msg }) => msg === 'consumer stalled: nothing settled at its prefetch'));
    expect(lines.filter(({ msg }) => String(msg).startsWith('consumer stalled'))).toMatchObject([
      { level: 30, queue: name, unsettled: 3, prefetch: 3 },
    ]);

    // One is settled, and the next comes: it goes on.
    deliveries[1]?.ack();
    await until(queue.health$, (one) => stalled(one) === undefined);
    expect(readiness(queue).body.reasons).toEqual([]);
    for (const delivery of deliveries) delivery.ack();
    await eventually(() => deliveries.length === 5);
  });
});
