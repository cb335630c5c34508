import { handle } from 'instance-queue';
import { producingFixture } from '../../support/fixtures/producing';
import { eventually } from '../../support/waiting';

const given = producingFixture();

const MESSAGES = 600;
const CUTS = 6;

test('under faults the metrics count exactly what happened', async () => {
  const { bystander, newClient, proxy, queue } = given;
  const backoff = { min: 5, max: 20 };
  const client = newClient({ reconnect: backoff, reopen: backoff });

  // What the application sees, counted one by one.
  const seen = { confirmed: 0, resent: 0, delivered: 0, redelivered: 0, lost: 0, reconnects: 0 };
  const settled = { ack: 0, requeue: 0, release: 0, reject: 0 };
  const done = new Set<number>();
  client.on('connected', ({ epoch }) => (seen.reconnects += epoch > 1 ? 1 : 0));
  const producer = client.producer();
  producer.on('confirmed', () => seen.confirmed++);
  producer.on('resent', () => seen.resent++);
  const consumer = client.consumer<number>({ queue, prefetch: 10 });
  consumer.on('lost', () => seen.lost++);
  consumer.deliveries$.subscribe(({ redelivered }) => {
    seen.delivered++;
    if (redelivered) seen.redelivered++;
  });
  consumer.deliveries$
    .pipe(
      handle(
        async ({ body, redelivered }) => {
          await new Promise((resolve) => setImmediate(resolve));
          if (body % 10 === 0 && !redelivered) throw new Error('once more');
          if (body % 15 === 0) throw new Error('never');
        },
        { onError: (error) => ((error as Error).message === 'never' ? 'reject' : 'requeue') },
      ),
    )
    .subscribe(({ message, settlement, sent }) => {
      if (!sent) return;
      settled[settlement]++;
      if (settlement !== 'requeue') done.add(message.body);
    });

  let cuts = 0;
  const sends = Array.from({ length: MESSAGES }, (_, i) => producer.send({ queue, body: i + 1 }));
  while (cuts < CUTS) {
    const before = done.size;
    await eventually(() => done.size > before + 20 || done.size === MESSAGES);
    proxy.cut();
    cuts++;
    await eventually(
      () => client.state.consumer.status === 'connected' && client.state.producer.status === 'connected',
    );
  }
  await Promise.all(sends);
  // Deliveries that a cut returned may be on their way again while the queue reads empty.
  await eventually(async () => {
    const { ready } = await bystander.count(queue);
    return ready === 0 && done.size === MESSAGES && client.metrics.inFlight === 0;
  });

  const { metrics } = client;
  expect(metrics).toMatchObject({
    ...seen,
    sent: MESSAGES,
    confirmed: MESSAGES,
    acked: settled.ack,
    requeued: settled.requeue,
    released: settled.release,
    rejected: settled.reject,
    ...{ returned: 0, nacked: 0, timedOut: 0, dropped: 0, undecodable: 0, inFlight: 0 },
    outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
  });
  // Every delivery was settled or lost, and every cut lost a connection.
  const { delivered, acked, requeued, released, rejected, lost } = metrics;
  expect(acked + requeued + released + rejected + lost).toBe(delivered);
  expect(metrics.reconnects).toBeGreaterThanOrEqual(CUTS);
});
