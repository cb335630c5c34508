import { Connection, ConnectionError, InstanceQueue } from 'instance-queue';
import { freePort } from '../../../compose/ports';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { rejection, until } from '../../support/waiting';

const given = rabbitmqFixture();
const { start } = fakeBrokerFixture();

const changed = (change: (url: URL) => void, from = given.url): string => {
  const url = new URL(from);
  change(url);
  return url.href;
};
const wrongPassword = changed((url) => (url.password = 'a-wrong-password'));
const unknownVhost = changed((url) => (url.pathname = '/no-such-vhost'));

describe('a refusal before the first success', () => {
  it.each([
    ['wrong credentials', wrongPassword, 403, 'Check user and password'],
    ['an unknown virtual host', unknownVhost, 530, 'vhost no-such-vhost not found'],
  ])(
    'by %s closes the connection, with the cause in its state and in the rejection',
    async (_, url, replyCode, advice) => {
      const connection = closing(new Connection(url));
      const error = await rejection(connection.connect());
      expect(error).toBeInstanceOf(ConnectionError);
      expect(error).toMatchObject({ code: 'CONNECT_FAILED', replyCode, retryable: false });
      expect((error as Error).message).toContain(advice);
      expect((error as Error).message).not.toContain('a-wrong-password');
      expect(connection.state).toEqual({ status: 'closed', cause: error });
      expect(await rejection(connection.connect())).toBe(error);
    },
  );

  it("is retried slowly with `authErrors: 'retry'`", async () => {
    const reconnect = { min: 10, max: 1000, jitter: 0, factor: 1 };
    const connection = closing(new Connection({ url: wrongPassword, authErrors: 'retry', reconnect }));
    void connection.connect().catch(() => undefined);
    const state = await until(connection.state$, (s) => s.status === 'reconnecting' && s.attempt === 3);
    expect(state).toMatchObject({ delay: 100, cause: { replyCode: 403 } });
  });

  it('of one of its connections rejects the calls of an InstanceQueue', async () => {
    const client = closing(new InstanceQueue(wrongPassword));
    expect(await rejection(client.connect())).toMatchObject({ replyCode: 403 });
    expect(client.health.status).toBe('down');
    expect(await rejection(client.send({ queue: 'any', body: 1 }))).toMatchObject({ code: 'PUBLISH_CLOSED' });
  });
});

describe('attempts', () => {
  it('before the first success are counted by `initialAttempts`', async () => {
    const url = `amqp://127.0.0.1:${await freePort()}`;
    const reconnect = { min: 1, max: 1, initialAttempts: 3 };
    const connection = closing(new Connection({ url, reconnect }));
    const attempts: number[] = [];
    connection.on('connecting', ({ attempt }) => attempts.push(attempt));
    const error = await rejection(connection.connect());
    expect(attempts).toEqual([1, 2, 3]);
    expect(error).toMatchObject({ code: 'CONNECT_FAILED', cause: { code: 'CONNECT_FAILED' } });
    expect((error as Error).message).toMatch(/^Gave up after 3 attempts\. Cannot connect to 127\.0\.0\.1:/);
    expect(connection.state.status).toBe('closed');
  });

  it('during an outage are counted by `attempts`, and whoever waits for the connection gets the error', async () => {
    const { fake } = await start();
    const reconnect = { min: 1, max: 1, attempts: 2, initialAttempts: 1 };
    const client = closing(new InstanceQueue({ url: fake.url, reconnect }));
    await client.connect();
    const delivered = rejection(until(client.consume({ queue: 'any', declare: false }), () => false));
    await fake.close();
    const { producer } = await until(client.state$, (state) => state.producer.status === 'closed');
    expect(producer).toMatchObject({
      cause: { message: expect.stringMatching(/^Gave up after 2 attempts/) as string },
    });
    expect(await delivered).toMatchObject({ message: expect.stringMatching(/^Gave up after 2 attempts/) as string });
    expect(await rejection(client.connect())).toMatchObject({ code: 'CONNECT_FAILED' });
  });
});

describe('a refusal after the first success', () => {
  const own = privateBroker();
  const user = uniqueName('user');
  const urlWith = (password: string): string =>
    changed((url) => Object.assign(url, { username: user, password }), own.url);

  beforeAll(async () => {
    await own.ctl('add_user', user, 'first');
    await own.ctl('set_permissions', user, '.*', '.*', '.*');
  });
  afterAll(() => own.ctl('delete_user', user));

  it('is retried slowly, until the `url` function returns the new password', async () => {
    let password = 'first';
    const name = uniqueName();
    const reconnect = { min: 5, max: 10_000, jitter: 0, factor: 1 };
    const connection = closing(new Connection({ url: () => Promise.resolve(urlWith(password)), name, reconnect }));
    await connection.connect();
    await own.ctl('change_password', user, 'second');
    const refused = until(connection.state$, (s) => s.status === 'reconnecting' && s.attempt > 1);
    await own.closeConnection(name);
    expect(await refused).toMatchObject({ delay: 50, cause: { replyCode: 403 } });
    password = 'second';
    expect(await until(connection.state$, ({ status }) => status === 'connected')).toMatchObject({ epoch: 2 });
  });
});
