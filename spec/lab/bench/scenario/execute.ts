import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchClient } from '../clients/client';
import { stopwatch, type Taken } from '../stopwatch';
import type { Consuming, Job, Publishing, RoundTrips, Sample } from './job';
import { watchPauses } from './pauses';

/** `another` opens a client on a connection of its own. */
export async function execute(client: BenchClient, job: Job, another: () => Promise<BenchClient>): Promise<Sample> {
  const pauses = job.pauses === true ? watchPauses() : undefined;
  const { began, ...sample } = await measured(client, job, another);
  const { user, system } = process.cpuUsage();
  return {
    ...sample,
    sinceStart: user + system,
    ...(pauses && { pauses: await pauses(began, began + sample.ms) }),
  };
}

type Timed = Sample & Taken;

function measured(client: BenchClient, job: Job, another: () => Promise<BenchClient>): Promise<Timed> {
  switch (job.kind) {
    case 'publish':
      return publish(client, job);
    case 'consume':
      return consume(client, job);
    case 'round-trip':
      return roundTrips(client, job, another);
  }
}

/** Publishes confirmed messages. */
async function publish(client: BenchClient, job: Publishing): Promise<Timed> {
  const { queue, count, warmUp, bytes, inFlight, perSecond, persistent, json } = job;
  let stop = stopwatch();
  const send = json ? await jsonSender(client, queue, persistent) : await bodySender(client, queue, persistent, bytes);
  const run = (total: number): Promise<void> =>
    perSecond === undefined ? asFastAsAllowed(send, total, inFlight) : atRate(send, total, perSecond);
  if (warmUp > 0) {
    // Ensures the queue and opens the channel before the clock starts.
    await run(warmUp);
    stop = stopwatch();
  }
  await run(count);
  return { messages: count, ...stop() };
}

type Send = (confirmed: () => void) => void;

function asFastAsAllowed(send: Send, total: number, inFlight: number): Promise<void> {
  return new Promise((resolve) => {
    let sent = 0;
    let confirmed = 0;
    const onConfirmed = (): void => {
      if (++confirmed === total) resolve();
      else if (sent < total) {
        sent++;
        send(onConfirmed);
      }
    };
    const first = Math.min(inFlight, total);
    for (sent = 0; sent < first; sent++) send(onConfirmed);
  });
}

/** Each message once the one before is confirmed, and not before its time. */
async function atRate(send: Send, total: number, perSecond: number): Promise<void> {
  const began = performance.now();
  for (let i = 0; i < total; i++) {
    const early = began + (i * 1000) / perSecond - performance.now();
    if (early > 0) await delay(early);
    await new Promise<void>((resolve) => {
      send(resolve);
    });
  }
}

async function bodySender(client: BenchClient, queue: string, persistent: boolean, bytes: number): Promise<Send> {
  const send = await client.sender(queue, { persistent });
  const body = randomBytes(bytes);
  return (confirmed) => {
    send(body, confirmed);
  };
}

/** Objects of about 200 bytes of JSON. */
async function jsonSender(client: BenchClient, queue: string, persistent: boolean): Promise<Send> {
  let n = 0;
  const order = () => ({
    id: n++,
    customer: 'c-1742',
    lines: [{ sku: 'A-7', count: 2, price: 1995 }],
    note: 'x'.repeat(100),
  });
  if (client.jsonSender) {
    const send = await client.jsonSender(queue, { persistent });
    return (confirmed) => {
      send(order(), confirmed);
    };
  }
  const send = await client.sender(queue, { persistent });
  return (confirmed) => {
    send(Buffer.from(JSON.stringify(order())), confirmed);
  };
}

/** Consumes all messages of the queue, and acks each after the work. */
async function consume(client: BenchClient, { queue, count, warmUp, prefetch, worker }: Consuming): Promise<Timed> {
  let seen = 0;
  let stop = stopwatch();
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const work = (): void => {
    if (++seen === warmUp) stop = stopwatch();
    else if (seen === warmUp + count) done();
  };
  const end = await client.receiver(
    queue,
    prefetch,
    worker === 'sync' ? work : async () => Promise.resolve().then(work),
  );
  await all;
  const taken = stop();
  await end();
  return { messages: count, ...taken };
}

/** One message at a time: publishes, receives and acks it before the next one. */
async function roundTrips(
  client: BenchClient,
  { queue, count, warmUp, bytes, connections }: RoundTrips,
  another: () => Promise<BenchClient>,
): Promise<Timed> {
  const consuming = connections === 2 ? await another() : client;
  const send = await client.sender(queue, { persistent: false });
  const body = randomBytes(bytes);
  const trips: number[] = [];
  let arrived: () => void = () => undefined;
  const end = await consuming.receiver(queue, 20, () => {
    arrived();
  });
  const trip = (): Promise<void> =>
    new Promise((resolve) => {
      const began = performance.now();
      arrived = () => {
        trips.push(performance.now() - began);
        // In the next turn, so that the ack is sent first.
        setImmediate(resolve);
      };
      send(body, () => undefined);
    });
  const warm = performance.now() + warmUp;
  do await trip();
  while (performance.now() < warm);
  trips.length = 0;
  const stop = stopwatch();
  for (let i = 0; i < count; i++) await trip();
  const taken = stop();
  await end();
  if (consuming !== client) await consuming.close();
  return { messages: count, ...taken, trips };
}
