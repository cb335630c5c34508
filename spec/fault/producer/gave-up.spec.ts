import { Connection, Producer, type ConnectionOptions } from 'instance-queue';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { outcomes, publishError } from '../../support/publish-error';

const { url } = sharedBroker();
afterEach(closeAll);

const producing = (options: ConnectionOptions): Producer => closing(new Producer(closing(new Connection(options))));
const quick = { min: 5, max: 10 };

test('sends of a connection that spends its first attempts are closed, with the cause', async () => {
  const proxy = closing(await FaultProxy.before(url));
  proxy.refuse();
  const producer = producing({ url: proxy.url(url), reconnect: { ...quick, initialAttempts: 3 } });
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

test('sends of a connection that is lost and not regained are closed, and told whether they may have arrived', async () => {
  const fake = closing(
    await FakeBroker.start((broker) => {
      broker.autoConfirm = false;
      broker.onMethod('basic.publish', () => {
        broker.reset();
      });
    }),
  );
  const connection = closing(
    new Connection({ url: fake.url, reconnect: { ...quick, attempts: 0, initialAttempts: 5 } }),
  );
  const producer = closing(new Producer(connection, { declare: false, maxInFlight: 1 }));
  const sends = [1, 2].map((body) => producer.send({ queue: 'q', body }));
  const settled = outcomes(sends);
  expect(await publishError(sends[0]!)).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
  expect(await publishError(sends[1]!)).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
  expect(await settled).toEqual(['PUBLISH_CLOSED', 'PUBLISH_CLOSED']);
});

test('sends under wrong credentials are closed, with the refusal as cause and no password anywhere', async () => {
  const wrong = new URL(url);
  wrong.password = 'a-wrong-secret';
  const error = await publishError(producing({ url: wrong.href }).send({ queue: 'q', body: 1 }));
  expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', cause: { code: 'CONNECT_FAILED', replyCode: 403 } });
  expect(`${error.message} ${error.stack ?? ''}`).not.toContain('a-wrong-secret');
});

test('sends to an unknown virtual host are closed, with the refusal as cause', async () => {
  const wrong = new URL(url);
  wrong.pathname = `/${uniqueName('nowhere')}`;
  const error = await publishError(producing({ url: wrong.href }).send({ queue: 'q', body: 1 }));
  expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', cause: { code: 'CONNECT_FAILED', replyCode: 530 } });
});

test('sends whose channel cannot be set up are closed once its attempts are spent, with the reason', async () => {
  const missing = uniqueName('missing');
  const connection = closing(new Connection({ url, reopen: { ...quick, initialAttempts: 3 } }));
  const producer = closing(new Producer(connection, { topology: { queues: [{ name: missing, passive: true }] } }));
  const error = await publishError(producer.send({ exchange: '', routingKey: missing, body: 1 }));
  expect(error).toMatchObject({
    code: 'PUBLISH_CLOSED',
    maybeDelivered: false,
    cause: { code: 'CHANNEL_CLOSED', replyCode: 404 },
  });
  expect(error.message).toMatch(/Gave up .* after 3 failed attempts.*no queue/);
  expect(await publishError(producer.send({ queue: missing, body: 2 }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
  // The connection is as good as before, for others.
  expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
});
