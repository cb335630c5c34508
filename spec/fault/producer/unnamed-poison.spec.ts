import { Producer } from 'instance-queue';
import type { FakeBroker, FakeClient, PublishedMessage } from '../../support/fake-broker/fake-broker';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { start } = fakeBrokerFixture();

/** A broker that refuses one body, without saying which message it refuses. */
function refusing(refuse: (broker: FakeClient, channel: number) => void) {
  return scripted((broker) => {
    broker.onMethod('basic.publish', (_, channel) => {
      if (!isPoison(broker.published.at(-1))) return 'default';
      refuse(broker, channel);
      return undefined;
    });
  });
}

const isPoison = (message: PublishedMessage | undefined): boolean => message?.body.toString() === '"poison"';

async function scripted(script: (broker: FakeClient, number: number) => void) {
  const { fake, connection } = await start(script);
  return { fake, connection, producer: closing(new Producer(connection, { declare: false })) };
}

const delivered = (fake: FakeBroker): string[] =>
  fake.clients.flatMap(({ published }) => published.map(({ body }) => body.toString()));

test('if a channel is closed over an unknown message, each is tried alone, and the bad one rejects', async () => {
  const { fake, connection, producer } = await refusing((broker, channel) => {
    broker.closeChannel(channel, 406, 'PRECONDITION_FAILED - something is wrong');
  });
  await producer.send({ queue: 'q', body: 'warm' });
  const good = [1, 2, 3, 4].map((body) => producer.send({ queue: 'q', body }));
  const poison = producer.send({ queue: 'q', body: 'poison' });
  good.push(...[5, 6, 7, 8].map((body) => producer.send({ queue: 'q', body })));
  expect(await publishError(poison)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 406 });
  expect(await outcomes(good)).toEqual(good.map(() => 'confirmed'));
  expect(connection.core.counters).toMatchObject({ reconnects: 0, reopens: 2 });
  // Once it is found, messages are sent together again.
  const again = Array.from({ length: 50 }, (_, body) => producer.send({ queue: 'q', body }));
  await eventually(() => producer.outbox.unconfirmed > 1 || producer.outbox.queued === 0);
  await Promise.all(again);
  expect(delivered(fake).filter((body) => body === '"poison"')).toHaveLength(2);
});

test('if a connection is closed over a frame, each message is tried alone, and the bad one rejects', async () => {
  const { connection, producer } = await refusing((broker) => {
    broker.closeConnection(501, 'FRAME_ERROR - cannot decode');
  });
  await producer.send({ queue: 'q', body: 'warm' });
  const good = [1, 2].map((body) => producer.send({ queue: 'q', body }));
  const poison = producer.send({ queue: 'q', body: 'poison' });
  good.push(...[3, 4].map((body) => producer.send({ queue: 'q', body })));
  expect(await publishError(poison)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 501 });
  expect(await outcomes(good)).toEqual(good.map(() => 'confirmed'));
  expect(connection.core.counters.reconnects).toBe(2);
});

test('a message is not rejected for a frame of another producer on the connection', async () => {
  const { connection, producer } = await scripted((broker, number) => {
    broker.autoConfirm = false;
    broker.onMethod('basic.publish', (_, channel) => {
      const bodies = broker.published.map(({ body }) => body.toString());
      const both = bodies.includes('"poison"') && bodies.includes('"good"');
      // On the first connection neither message is confirmed, later the good one is.
      const deliveryTag = broker.published.at(-1)!.tag;
      const confirmed = bodies.at(-1) === '"warm"' || (number > 1 && bodies.at(-1) === '"good"');
      if (confirmed) broker.send(channel, 'basic.ack', { deliveryTag, multiple: false });
      if (both || (number > 2 && isPoison(broker.published.at(-1)))) broker.closeConnection(501, 'FRAME_ERROR');
    });
  });
  const neighbour = closing(new Producer(connection, { declare: false }));
  await Promise.all([producer.send({ queue: 'q', body: 'warm' }), neighbour.send({ queue: 'q', body: 'warm' })]);
  const poison = outcomes([producer.send({ queue: 'q', body: 'poison' })]);
  const good = neighbour.send({ queue: 'q', body: 'good' });
  expect(await good).toMatchObject({ attempts: 2 });
  expect(await poison).toEqual(['PUBLISH_REFUSED']);
});

test('no message rejects if the broker closes the connection for another reason', async () => {
  const { producer, connection, fake } = await refusing((broker) => {
    broker.closeConnection(320, 'CONNECTION_FORCED - broker forced connection closure');
  });
  await producer.send({ queue: 'q', body: 'warm' });
  const abort = new AbortController();
  const settled = outcomes([producer.send({ queue: 'q', body: 'poison' }, { signal: abort.signal })]);
  await eventually(() => connection.core.counters.reconnects > 1);
  abort.abort();
  expect(await settled).toEqual(['PUBLISH_ABORTED']);
  expect(fake.clients.length).toBeGreaterThan(2);
});
