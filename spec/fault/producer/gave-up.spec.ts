import { Connection, Producer } from 'instance-queue';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { outcomes, publishError } from '../../support/publish-error';
import { uniqueName } from '../../support/unique-name';

const given = proxiedFixture();
const { start } = fakeBrokerFixture();

const producerAt = (url: URL): Producer => closing(new Producer(closing(new Connection(url.href))));
const quick = { min: 5, max: 10 };

test('sends reject when the connection gives up its first attempts, with the cause', async () => {
  given.proxy.refuse();
  const producer = closing(new Producer(given.newConnection({ reconnect: { ...quick, initialAttempts: 3 } })));
  const sends = [1, 2, 3].map((body) => producer.send({ queue: 'q', body }));
  const settled = outcomes(sends);
  const error = await publishError(sends[0]!);
  expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false, retryable: false });
  expect(error.cause).toMatchObject({ code: 'CONNECT_FAILED' });
  expect(error.message).toMatch(/Gave up after 3 attempts/);
  expect(await settled).toEqual(sends.map(() => 'PUBLISH_CLOSED'));
  const late = await publishError(producer.send({ queue: 'q', body: 4 }));
  expect(late).toMatchObject({ code: 'PUBLISH_CLOSED', cause: { code: 'CONNECT_FAILED' } });
});

test('sends reject when a lost connection gives up, and the errors say whether the message may have arrived', async () => {
  const { connection } = await start(
    (client) => {
      client.autoConfirm = false;
      client.onMethod('basic.publish', () => {
        client.reset();
      });
    },
    { reconnect: { ...quick, attempts: 0, initialAttempts: 5 } },
  );
  const producer = closing(new Producer(connection, { declare: false, maxInFlight: 1 }));
  const sends = [1, 2].map((body) => producer.send({ queue: 'q', body }));
  const settled = outcomes(sends);
  expect(await publishError(sends[0]!)).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
  expect(await publishError(sends[1]!)).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  expect(await settled).toEqual(['PUBLISH_CLOSED', 'PUBLISH_CLOSED']);
});

test('sends reject if the credentials are wrong, with the refusal as cause and without the password', async () => {
  const wrong = new URL(given.url);
  wrong.password = 'a-wrong-secret';
  const error = await publishError(producerAt(wrong).send({ queue: 'q', body: 1 }));
  expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', cause: { code: 'CONNECT_FAILED', replyCode: 403 } });
  expect(`${error.message} ${error.stack ?? ''}`).not.toContain('a-wrong-secret');
});

test('sends reject if the virtual host is unknown, with the refusal as cause', async () => {
  const wrong = new URL(given.url);
  wrong.pathname = `/${uniqueName('nowhere')}`;
  const error = await publishError(producerAt(wrong).send({ queue: 'q', body: 1 }));
  expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', cause: { code: 'CONNECT_FAILED', replyCode: 530 } });
});

test('sends reject when the set-up of their channel gives up, with the cause', async () => {
  const missing = uniqueName('missing');
  const connection = given.newConnection({ reopen: { ...quick, initialAttempts: 3 } });
  const producer = closing(new Producer(connection, { topology: { queues: [{ name: missing, passive: true }] } }));
  const error = await publishError(producer.send({ exchange: '', routingKey: missing, body: 1 }));
  expect(error).toMatchObject({
    code: 'PUBLISH_CLOSED',
    maybeDelivered: false,
    cause: { code: 'CHANNEL_CLOSED', replyCode: 404 },
  });
  expect(error.message).toMatch(/Gave up .* after 3 failed attempts.*no queue/);
  expect(await publishError(producer.send({ queue: missing, body: 2 }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
  // Others can still use the connection.
  expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
});
