import { Connection, InstanceQueue, Producer, publish, type OutboundMessage } from 'instance-queue';
import { Observable, Subject, from, lastValueFrom, map, of, range, tap, toArray } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { bodies } from '../../support/brokers/messages';
import { eventually, rejection } from '../../support/waiting';

const { url } = sharedBroker();
let bystander: Bystander;
let queue: string;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = await bystander.declareQueue();
});
afterEach(closeAll);

test('a large source goes out in order, a confirmation for each, through a small window', async () => {
  const front = closing(new InstanceQueue({ url, producer: { maxInFlight: 100, outbox: { limit: 50 } } }));
  let most = 0;
  const confirmations = await lastValueFrom(
    range(0, 4_000).pipe(
      map((body): OutboundMessage => ({ queue, body })),
      front.publish(),
      tap(() => {
        const { queued, unconfirmed } = front.health.outbox;
        expect(queued).toBeLessThanOrEqual(50);
        most = Math.max(most, unconfirmed);
      }),
      toArray(),
    ),
  );
  expect(new Set(confirmations.map(({ messageId }) => messageId)).size).toBe(4_000);
  expect(most).toBeLessThanOrEqual(100);
  expect(bodies(await bystander.takeAtLeast(queue, 4_000))).toEqual(Array.from({ length: 4_000 }, (_, i) => i));
});

test('no more than `concurrency` are under way', async () => {
  const producer = closing(new Producer(closing(new Connection(url))));
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

test('it ends with the first message that fails', async () => {
  const front = closing(new InstanceQueue(url));
  const messages: OutboundMessage[] = [
    { queue, body: 1 },
    { exchange: 'missing', body: 2 },
  ];
  const error = await rejection(lastValueFrom(from(messages).pipe(front.publish())));
  expect(error).toMatchObject({ code: 'PUBLISH_REFUSED' });
});

test('it ends with its source, and what was sent before is there', async () => {
  const front = closing(new InstanceQueue(url));
  const source = new Subject<OutboundMessage>();
  const seen = collect(source.pipe(front.publish()));
  source.next({ queue, body: 1 });
  await eventually(() => seen.values.length === 1);
  source.error(new Error('the source'));
  expect(seen.error).toMatchObject({ message: 'the source' });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([1]);
});

test('it completes behind the last confirmation', async () => {
  const front = closing(new InstanceQueue(url));
  const seen = collect(of<OutboundMessage>({ queue, body: 1 }).pipe(front.publish()));
  await eventually(() => seen.completed);
  expect(seen.values).toHaveLength(1);
});

test('unsubscribing takes nothing more from the source; what was sent stays sent', async () => {
  const front = closing(new InstanceQueue(url));
  let left = false;
  const source = new Observable<OutboundMessage>((subscriber) => {
    subscriber.next({ queue, body: 'sent' });
    return () => {
      left = true;
    };
  });
  const { subscription } = collect(source.pipe(front.publish()));
  subscription.unsubscribe();
  expect(left).toBe(true);
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual(['sent']);
});

test('its options are those of each send', async () => {
  const front = closing(new InstanceQueue(url));
  const abort = AbortSignal.abort();
  const code$ = of<OutboundMessage>({ queue, body: 1 }).pipe(front.publish({ signal: abort }));
  expect(await rejection(lastValueFrom(code$))).toMatchObject({ code: 'PUBLISH_ABORTED' });
  expect(() => front.publish({ concurrency: 0 })).toThrow(/`concurrency` to be an integer from 1/);
});
