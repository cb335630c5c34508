import { pino } from 'pino';
import { type InstanceQueue, type ConsumerHealth, type Delivery, type Health } from 'instance-queue';
import { readiness } from 'instance-queue/health';
import type { Observable } from 'rxjs';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, until } from '../../support/waiting';

const given = consumingFixture();

const lines: Record<string, unknown>[] = [];
const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
beforeEach(() => lines.splice(0));

const stalled = ({ consumers }: Health): ConsumerHealth | undefined => consumers.find((consumer) => consumer.stalled);

describe.each<[string, (client: InstanceQueue, queue: string) => Observable<Delivery<unknown>>]>([
  ['consume()', (client, queue) => client.consume({ queue, prefetch: 3 })],
  ['a Consumer', (client, queue) => client.consumer({ queue, prefetch: 3 }).deliveries$],
])('a consumer made by %s that settles nothing while its prefetch is reached', (_how, consume) => {
  it('is reported by health, by readiness and in the log, and does not make the client unhealthy', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, 1, 2, 3, 4, 5);
    const logger = pino({ level: 'info', base: null }, { write });
    const client = newClient({ downAfter: 150, logger });
    const deliveries: Delivery<unknown>[] = [];
    consume(client, queue).subscribe((delivery) => deliveries.push(delivery));

    const health = await until(client.health$, (one) => stalled(one) !== undefined);
    expect(health.status).toBe('up');
    expect(stalled(health)).toMatchObject({
      queueName: queue,
      status: 'attached',
      stalled: { unsettled: 3, prefetch: 3, since: expect.any(Date) as Date },
    });
    const { statusCode, body } = readiness(client);
    expect(statusCode).toBe(200);
    expect(body.reasons).toEqual([
      {
        of: 'consumer',
        queue,
        status: 'stalled',
        message: expect.stringMatching(/3 .*prefetch.*settled/) as string,
      },
    ]);
    await eventually(() => lines.find(({ msg }) => msg === 'consumer stalled: nothing settled at its prefetch'));
    expect(lines.filter(({ msg }) => String(msg).startsWith('consumer stalled'))).toMatchObject([
      { level: 30, queue, unsettled: 3, prefetch: 3 },
    ]);

    // A settled delivery lets the next one arrive: the stall is over.
    deliveries[1]?.ack();
    await until(client.health$, (one) => stalled(one) === undefined);
    expect(readiness(client).body.reasons).toEqual([]);
    for (const delivery of deliveries) delivery.ack();
    await eventually(() => deliveries.length === 5);
  });
});
