import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { retryingConsumer, type RetryingConsumer } from '../../support/retrying-consumer';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let bystander: Bystander;
let proxy: FaultProxy;
let queue: string;
let wait: string;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  proxy = closing(await FaultProxy.before(url));
  queue = await bystander.declareQueue();
  wait = bystander.deletesQueue(`${queue}.retry.2500`);
});
afterEach(closeAll);

const options = { attempts: 3, delay: 2500 };

/** A consumer that has a wait queue and whose next message fails after `fault`; `heard` is called when that is settled. */
async function failing(fault: () => void, heard: () => void = () => undefined): Promise<RetryingConsumer> {
  const log = new FrameLog(proxy);
  const one = retryingConsumer(
    proxy.url(url),
    queue,
    options,
    ({ body, deliveryCount }) => {
      if (body === 'bad') fault();
      return body === 'bad' || deliveryCount === 0;
    },
    ({ message }) => {
      if (message.body === 'bad') heard();
    },
  );
  await bystander.put(queue, 'warm');
  await eventually(() => one.handled.values.length === 2);
  // Acks are written a little later. If the fault held them back, there would be one message more.
  await eventually(() => log.of('basic.ack').filter(({ direction }) => direction === 'toBroker').length === 2);
  return one;
}

const bad = (): Promise<void> =>
  bystander.publishRaw('', queue, [Buffer.from('"bad"')], { contentType: 'application/json', messageId: 'm1' });

/** As the broker sees a process that was killed. */
function kill(): void {
  proxy.refuse();
  proxy.cut();
}

/** Asserts that the next process finds this many messages with the id, and that none is left. */
async function survivors(count: number): Promise<RetryingConsumer> {
  const next = retryingConsumer(url, queue, options, () => false);
  await eventually(() => next.handled.values.length === count);
  expect(next.runs.map(({ message }) => message.properties.messageId)).toEqual(Array(count).fill('m1'));
  await eventually(async () => (await bystander.count(queue)).ready === 0 && (await bystander.count(wait)).ready === 0);
  expect(next.handled.values).toHaveLength(count);
  return next;
}

test('a process killed before the copy is published leaves the original', async () => {
  const one = await failing(() => proxy.hold('toBroker'));
  await bad();
  await eventually(() => one.front.health.outbox.unconfirmed === 1);
  expect((await bystander.count(wait)).ready).toBe(0);
  kill();
  const next = await survivors(1);
  expect(next.runs[0]?.message).toMatchObject({ redelivered: true, deliveryCount: 1 });
});

test('a process killed between the copy and its confirm leaves two messages with one id', async () => {
  const one = await failing(() => proxy.hold('toClient'));
  await bad();
  await eventually(async () => (await bystander.count(wait)).ready === 1);
  expect(one.handled.values).toHaveLength(2);
  kill();
  const next = await survivors(2);
  expect(next.runs.map(({ message }) => [message.redelivered, message.deliveryCount])).toEqual([
    [true, 1],
    [false, 1],
  ]);
});

test('a process killed between the confirm and the ack leaves two messages with one id', async () => {
  let settled = false;
  const hold = (): void => {
    // Acks are batched: this one is not written in the turn in which the run ends.
    proxy.hold('toBroker');
    settled = true;
  };
  const one = await failing(() => undefined, hold);
  await bad();
  await eventually(() => settled);
  expect(one.handled.values.at(-1)).toMatchObject({ settlement: 'ack', sent: true });
  expect(one.front.health.outbox).toMatchObject({ queued: 0, unconfirmed: 0 });
  kill();
  const next = await survivors(2);
  expect(next.runs.map(({ message }) => message.redelivered)).toEqual([true, false]);
});

test('a process cut off between the copy and its confirm goes on by itself', async () => {
  let faults = 0;
  const one = await failing(() => {
    if (faults++ === 0) proxy.hold('toClient');
  });
  await bad();
  await eventually(async () => (await bystander.count(wait)).ready === 1);
  proxy.cut();
  await proxy.restore();
  // The confirm of the first copy is lost and the original is redelivered: each runs until its attempts are spent.
  await eventually(() => one.handled.values.some(({ settlement }) => settlement === 'reject'), 20_000);
  await eventually(async () => (await bystander.count(queue)).ready === 0 && (await bystander.count(wait)).ready === 0);
  const mine = one.runs.filter(({ message }) => message.body === 'bad');
  expect(new Set(mine.map(({ message }) => message.properties.messageId))).toEqual(new Set(['m1']));
  expect(mine.length).toBeGreaterThanOrEqual(4);
});
