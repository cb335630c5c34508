import { Connection, Producer } from 'instance-queue';
import { FakeBroker, type FakeClient, type PublishedMessage } from '../../support/fake-broker/fake-broker';
import { closeAll, closing } from '../../support/closing';
import { outcomes, publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

afterEach(closeAll);

/** A broker that takes offence at one body, and says nothing useful. */
function touchy(offend: (broker: FakeClient, channel: number) => void) {
  return scripted((broker) => {
    broker.onMethod('basic.publish', (_, channel) => {
      if (!isPoison(broker.published.at(-1))) return 'default';
      offend(broker, channel);
      return undefined;
    });
  });
}

const isPoison = (message: PublishedMessage | undefined): boolean => message?.body.toString() === '"poison"';

async function scripted(script: (broker: FakeClient, number: number) => void) {
  const fake = closing(await FakeBroker.start(script));
  const quick = { min: 5, max: 10 };
  const connection = closing(new Connection({ url: fake.url, reconnect: quick, reopen: quick }));
  return { fake, connection, producer: closing(new Producer(connection, { declare: false })) };
}

const delivered = (fake: FakeBroker): string[] =>
  fake.clients.flatMap(({ published }) => published.map(({ body }) => body.toString()));

test('a channel closed over nobody knows which message: each is tried alone, and the culprit found', async () => {
  const { fake, connection, producer } = await touchy((broker, channel) => {
    broker.closeChannel(channel, 406, 'PRECONDITION_FAILED - something is wrong');
  });
  await producer.send({ queue: 'q', body: 'warm' });
  const good = [1, 2, 3, 4].map((body) => producer.send({ queue: 'q', body }));
  const poison = producer.send({ queue: 'q', body: 'poison' });
  good.push(...[5, 6, 7, 8].map((body) => producer.send({ queue: 'q', body })));
  expect(await publishError(poison)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 406 });
  expect(await outcomes(good)).toEqual(good.map(() => 'confirmed'));
  expect(connection.core.counters).toMatchObject({ reconnects: 0, reopens: 2 });
  // Once found, the window is open again.
  const again = Array.from({ length: 50 }, (_, body) => producer.send({ queue: 'q', body }));
  await eventually(() => producer.outbox.unconfirmed > 1 || producer.outbox.queued === 0);
  await Promise.all(again);
  expect(delivered(fake).filter((body) => body === '"poison"')).toHaveLength(2);
});

test('a connection closed over a frame: each message is tried alone, and the culprit found', async () => {
  const { connection, producer } = await touchy((broker) => {
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

test('a producer is not blamed for a frame of its neighbour on the connection', async () => {
  const { connection, producer } = await scripted((broker, number) => {
    broker.autoConfirm = false;
    broker.onMethod('basic.publish', (_, channel) => {
      const bodies = broker.published.map(({ body }) => body.toString());
      const both = bodies.includes('"poison"') && bodies.includes('"innocent"');
      // On the first connection neither gets its confirm, then the innocent one does.
      const deliveryTag = broker.published.at(-1)!.tag;
      const confirmed = bodies.at(-1) === '"warm"' || (number > 1 && bodies.at(-1) === '"innocent"');
      if (confirmed) broker.send(channel, 'basic.ack', { deliveryTag, multiple: false });
      if (both || (number > 2 && isPoison(broker.published.at(-1)))) broker.closeConnection(501, 'FRAME_ERROR');
    });
  });
  const neighbour = closing(new Producer(connection, { declare: false }));
  await Promise.all([producer.send({ queue: 'q', body: 'warm' }), neighbour.send({ queue: 'q', body: 'warm' })]);
  const poison = outcomes([producer.send({ queue: 'q', body: 'poison' })]);
  const innocent = neighbour.send({ queue: 'q', body: 'innocent' });
  expect(await innocent).toMatchObject({ attempts: 2 });
  expect(await poison).toEqual(['PUBLISH_REFUSED']);
});

test('a connection that the broker closes for reasons of its own blames no message', async () => {
  const { producer, connection, fake } = await touchy((broker) => {
    broker.closeConnection(320, 'CONNECTION_FORCED - broker forced connection closure');
  });
  await producer.send({ queue: 'q', body: 'warm' });
  const enough = new AbortController();
  const settled = outcomes([producer.send({ queue: 'q', body: 'poison' }, { signal: enough.signal })]);
  await eventually(() => connection.core.counters.reconnects > 1);
  enough.abort();
  expect(await settled).toEqual(['PUBLISH_ABORTED']);
  expect(fake.clients.length).toBeGreaterThan(2);
});
