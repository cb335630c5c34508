import { publish, type OutboundMessage } from 'instance-queue';
import { Observable, Subject, from, lastValueFrom, map, of, range, tap, toArray } from 'rxjs';
import { bodies } from '../../support/brokers/messages';
import { collect } from '../../support/collect';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { eventually, rejection } from '../../support/waiting';

const given = producingFixture();

test('publish sends a large source in order within a small outbox, and emits a confirmation for each message', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient({ producer: { maxInFlight: 100, outbox: { limit: 50 } } });
  let most = 0;
  const confirmations = await lastValueFrom(
    range(0, 4_000).pipe(
      map((body): OutboundMessage => ({ queue, body })),
      client.publish(),
      tap(() => {
        const { queued, unconfirmed } = client.health.outbox;
        expect(queued).toBeLessThanOrEqual(50);
        most = Math.max(most, unconfirmed);
      }),
      toArray(),
    ),
  );
  expect(new Set(confirmations.map(({ messageId }) => messageId)).size).toBe(4_000);
  expect(most).toBeLessThanOrEqual(100);
  expect(bodies(await bystander.takeAtLeast(queue, 4_000))).toEqual(numbers(4_000));
});

test('publish never has more than `concurrency` sends pending', async () => {
  const { queue, newProducer } = given;
  const producer = newProducer();
  let most = 0;
  await lastValueFrom(
    range(0, 200).pipe(
      map((body): OutboundMessage => ({ queue, body })),
      publish(producer, { concurrency: 3 }),
      tap(() => {
        most = Math.max(most, producer.outbox.queued + producer.outbox.unconfirmed);
      }),
    ),
  );
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(3);
});

test('publish errors with the first send that fails', async () => {
  const { newClient, queue } = given;
  const client = newClient();
  const messages: OutboundMessage[] = [
    { queue, body: 1 },
    { exchange: 'missing', body: 2 },
  ];
  const error = await rejection(lastValueFrom(from(messages).pipe(client.publish())));
  expect(error).toMatchObject({ code: 'PUBLISH_REFUSED' });
});

test('publish errors if its source does, and messages sent before stay sent', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient();
  const source = new Subject<OutboundMessage>();
  const seen = collect(source.pipe(client.publish()));
  source.next({ queue, body: 1 });
  await eventually(() => seen.values.length === 1);
  source.error(new Error('the source'));
  expect(seen.error).toMatchObject({ message: 'the source' });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([1]);
});

test('publish completes after the last confirmation', async () => {
  const { newClient, queue } = given;
  const client = newClient();
  const seen = collect(of<OutboundMessage>({ queue, body: 1 }).pipe(client.publish()));
  await eventually(() => seen.completed);
  expect(seen.values).toHaveLength(1);
});

test('unsubscribing from publish unsubscribes from the source, and messages already sent stay sent', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient();
  let left = false;
  const source = new Observable<OutboundMessage>((subscriber) => {
    subscriber.next({ queue, body: 'sent' });
    return () => {
      left = true;
    };
  });
  const { subscription } = collect(source.pipe(client.publish()));
  subscription.unsubscribe();
  expect(left).toBe(true);
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual(['sent']);
});

test('publish passes its options on to each send', async () => {
  const { newClient, queue } = given;
  const client = newClient();
  const abort = AbortSignal.abort();
  const code$ = of<OutboundMessage>({ queue, body: 1 }).pipe(client.publish({ signal: abort }));
  expect(await rejection(lastValueFrom(code$))).toMatchObject({ code: 'PUBLISH_ABORTED' });
  expect(() => client.publish({ concurrency: 0 })).toThrow(/`concurrency` to be an integer from 1/);
});
