import { type ProducerOptions } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually, rejection } from '../../support/waiting';

const given = producingFixture({ connection: { reconnect: { min: 10, max: 10 } } });

/** Counts the listeners on a signal. */
function listenersOf(signal: AbortSignal): () => number {
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  return () => listeners;
}

/** Each phase of a send, the options that bring a message there, and whether the broker may have the message by then. */
const PHASES = [
  ['outside a full outbox', { outbox: { limit: 1 } }, false],
  ['queued while disconnected', {}, false],
  ['in flight', {}, true],
  ['nacked', {}, false],
] as const;

async function sendingIn(phase: (typeof PHASES)[number][0], options: ProducerOptions) {
  const { bystander, proxy, queue, connection, newProducer } = given;
  const producer = newProducer(options);
  let target = queue;
  if (phase === 'in flight') {
    await producer.send({ queue, body: 'warm' });
    proxy.hold('toClient');
  } else if (phase === 'nacked') {
    target = await bystander.declareQueue({ arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    await producer.send({ queue: target, body: 'fills it' });
  } else {
    proxy.refuse();
    if (phase === 'outside a full outbox') void outcomes([producer.send({ queue, body: 'fills it' })]);
  }
  const inPhase = (): boolean => {
    const { queued, unconfirmed } = producer.outbox;
    if (phase === 'in flight') return unconfirmed === 1;
    if (phase === 'nacked') return connection.core.counters.nacked > 0;
    return queued === 1;
  };
  return { producer, target, inPhase };
}

describe.each(PHASES)('%s', (phase, options, maybeDelivered) => {
  test('a timeout rejects, and the error says whether the broker may have the message', async () => {
    const { producer, target } = await sendingIn(phase, options);
    const began = performance.now();
    const error = await publishError(producer.send({ queue: target, body: 1, messageId: 'late' }, { timeout: 200 }));
    expect(performance.now() - began).toBeGreaterThanOrEqual(199);
    expect(performance.now() - began).toBeLessThan(2_000);
    const code = phase === 'nacked' ? 'PUBLISH_NACKED' : 'PUBLISH_TIMEOUT';
    expect(error).toMatchObject({ code, messageId: 'late', retryable: true });
    // At the deadline a nacked message may be in flight again.
    if (phase !== 'nacked') expect(error.maybeDelivered).toBe(maybeDelivered);
  });

  test('an abort rejects with the reason as its cause, and leaves no listener on the signal', async () => {
    const { producer, target, inPhase } = await sendingIn(phase, options);
    const abort = new AbortController();
    const listeners = listenersOf(abort.signal);
    const failed = publishError(producer.send({ queue: target, body: 1 }, { signal: abort.signal }));
    expect(listeners()).toBe(1);
    await eventually(inPhase);
    abort.abort(new Error('changed my mind'));
    expect(await failed).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered, retryable: false });
    expect((await failed).cause).toMatchObject({ message: 'changed my mind' });
    expect(listeners()).toBe(0);
  });
});

test('a signal that is aborted already rejects at once, and nothing is sent', async () => {
  const { bystander, queue, newProducer } = given;
  const producer = newProducer();
  const error = await publishError(producer.send({ queue, body: 1 }, { signal: AbortSignal.abort() }));
  expect(error).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: false });
  await producer.send({ queue, body: 2 });
  expect(bodies(await bystander.takeAtLeast(queue, 1))).toEqual([2]);
});

test('a message that was given up while queued is never sent', async () => {
  const { bystander, proxy, queue, connection, newProducer } = given;
  const producer = newProducer();
  await connection.connect();
  proxy.refuse();
  proxy.cut();
  await eventually(() => connection.state.status === 'reconnecting');
  const abort = new AbortController();
  const sends = [
    producer.send({ queue, body: 1 }),
    producer.send({ queue, body: 2 }, { signal: abort.signal }),
    producer.send({ queue, body: 3 }, { timeout: 20 }),
    producer.send({ queue, body: 4 }),
  ];
  abort.abort();
  const timedOut = await publishError(sends[2]!);
  expect(timedOut.message).toMatch(/not sent; the connection is reconnecting/);
  expect(timedOut.cause).toMatchObject({ name: 'ConnectionError' });
  await proxy.restore();
  expect(await outcomes(sends)).toEqual(['confirmed', 'PUBLISH_ABORTED', 'PUBLISH_TIMEOUT', 'confirmed']);
  expect(bodies(await bystander.takeAtLeast(queue, 2))).toEqual([1, 4]);
});

test('many sends with one signal share one listener, which is removed with the last of them', async () => {
  const { proxy, queue, newProducer } = given;
  const producer = newProducer();
  const abort = new AbortController();
  const listeners = listenersOf(abort.signal);
  const send = (body: number): Promise<unknown> => producer.send({ queue, body }, { signal: abort.signal });
  const sends = Array.from({ length: 100 }, (_, body) => send(body));
  // Node warns of a leak beyond ten listeners.
  expect(listeners()).toBe(1);
  await Promise.all(sends);
  expect(listeners()).toBe(0);
  await send(100);
  proxy.hold('toClient');
  const aborted = outcomes([send(101), send(102)]);
  abort.abort();
  expect(await aborted).toEqual(['PUBLISH_ABORTED', 'PUBLISH_ABORTED']);
  expect(listeners()).toBe(0);
});

test('invalid options of a send are refused', async () => {
  const producer = given.newProducer();
  for (const options of [
    { timeout: 0 },
    { timeout: -1 },
    { timeout: NaN },
    { timeout: 2 ** 31 },
    { signal: {} },
    { tiemout: 1 },
  ]) {
    expect(await rejection(producer.send({ queue: given.queue, body: 1 }, options as object))).toMatchObject({
      code: 'OPTIONS_INVALID',
    });
  }
});
