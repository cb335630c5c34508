import { consumingFixture } from '../../support/fixtures/consuming';
import { retryingConsumer, type RetryingConsumer } from '../../support/retrying-consumer';
import { eventually } from '../../support/waiting';

const given = consumingFixture();
let wait: string;
beforeEach(() => {
  wait = given.bystander.deletesQueue(`${given.queue}.retry.2500`);
});

const options = { attempts: 3, delay: 2500 };

/** A retrying consumer with a wait queue. When 'bad' comes, it calls `fault` and fails; then it calls `onSettled`. */
async function failing(fault: () => void, onSettled: () => void = () => undefined): Promise<RetryingConsumer> {
  const { url, bystander, proxy, queue, log } = given;
  const consumer = retryingConsumer(
    proxy.url(url),
    queue,
    options,
    ({ body, deliveryCount }) => {
      if (body === 'bad') fault();
      return body === 'bad' || deliveryCount === 0;
    },
    ({ message }) => {
      if (message.body === 'bad') onSettled();
    },
  );
  await bystander.put(queue, 'warm');
  await eventually(() => consumer.handled.values.length === 2);
  // Acks are written a little later. If the fault held them back, their messages would be redelivered, too.
  await eventually(() => log.of('basic.ack').filter(({ direction }) => direction === 'toBroker').length === 2);
  return consumer;
}

const bad = (): Promise<void> =>
  given.bystander.publishRaw('', given.queue, [Buffer.from('"bad"')], {
    contentType: 'application/json',
    messageId: 'm1',
  });

/** To the broker this looks as if the process was killed. */
function kill(): void {
  given.proxy.refuse();
  given.proxy.cut();
}

/** Consumes as the next process would, and expects this many messages with the id 'm1' and no others. */
async function nextProcess(count: number): Promise<RetryingConsumer> {
  const { url, bystander, queue } = given;
  const next = retryingConsumer(url, queue, options, () => false);
  await eventually(() => next.handled.values.length === count);
  expect(next.runs.map(({ message }) => message.properties.messageId)).toEqual(Array(count).fill('m1'));
  await eventually(async () => (await bystander.count(queue)).ready === 0 && (await bystander.count(wait)).ready === 0);
  expect(next.handled.values).toHaveLength(count);
  return next;
}

test('if the process is killed before the copy is published, the original is redelivered', async () => {
  const { bystander, proxy } = given;
  const consumer = await failing(() => proxy.hold('toBroker'));
  await bad();
  await eventually(() => consumer.client.health.outbox.unconfirmed === 1);
  expect((await bystander.count(wait)).ready).toBe(0);
  kill();
  const next = await nextProcess(1);
  expect(next.runs[0]?.message).toMatchObject({ redelivered: true, deliveryCount: 1 });
});

test('if the process is killed between the copy and its confirm, there are two messages with one id', async () => {
  const { bystander, proxy } = given;
  const consumer = await failing(() => proxy.hold('toClient'));
  await bad();
  await eventually(async () => (await bystander.count(wait)).ready === 1);
  expect(consumer.handled.values).toHaveLength(2);
  kill();
  const next = await nextProcess(2);
  expect(next.runs.map(({ message }) => [message.redelivered, message.deliveryCount])).toEqual([
    [true, 1],
    [false, 1],
  ]);
});

test('if the process is killed between the confirm and the ack, there are two messages with one id', async () => {
  let settled = false;
  const hold = (): void => {
    // Acks are batched: this one is not written in the turn in which the run ends.
    given.proxy.hold('toBroker');
    settled = true;
  };
  const consumer = await failing(() => undefined, hold);
  await bad();
  await eventually(() => settled);
  expect(consumer.handled.values.at(-1)).toMatchObject({ settlement: 'ack', sent: true });
  expect(consumer.client.health.outbox).toMatchObject({ queued: 0, unconfirmed: 0 });
  kill();
  const next = await nextProcess(2);
  expect(next.runs.map(({ message }) => message.redelivered)).toEqual([true, false]);
});

test('if the connection is lost between the copy and its confirm, the consumer goes on', async () => {
  const { bystander, proxy, queue } = given;
  let faults = 0;
  const consumer = await failing(() => {
    if (faults++ === 0) proxy.hold('toClient');
  });
  await bad();
  await eventually(async () => (await bystander.count(wait)).ready === 1);
  proxy.cut();
  await proxy.restore();
  // The confirm of the first copy is lost and the original is redelivered: both are retried until their last attempt.
  await eventually(() => consumer.handled.values.some(({ settlement }) => settlement === 'reject'), 20_000);
  await eventually(async () => (await bystander.count(queue)).ready === 0 && (await bystander.count(wait)).ready === 0);
  const mine = consumer.runs.filter(({ message }) => message.body === 'bad');
  expect(new Set(mine.map(({ message }) => message.properties.messageId))).toEqual(new Set(['m1']));
  expect(mine.length).toBeGreaterThanOrEqual(4);
});
