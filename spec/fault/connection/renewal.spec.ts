import { Consumer, type ConnectionState, type Credentials } from 'instance-queue';
import { amqpTransport } from '../../../lib/amqp/amqp-transport';
import { collect } from '../../support/collect';
import { dialled, hangUp } from '../../support/dialled';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { eventually, rejection, until } from '../../support/waiting';

const { start } = fakeBrokerFixture();
afterEach(hangUp);

const UPDATE = 'connection.update-secret';
const REFUSED = 'NOT_ALLOWED - New secret was refused by one of the backends';

const refuse = (client: FakeClient): void => {
  client.onMethod(UPDATE, () => client.closeConnection(530, REFUSED, 10, 70));
};

/** Tokens with this lifetime, in ms. */
const tokens = (lifetime: number) => {
  let count = 0;
  return (): Credentials => ({
    username: 'app',
    password: `token ${String((count += 1))}`,
    expiresAt: new Date(Date.now() + lifetime),
  });
};

/** What amqplib leaves pending. */
describe('an update of the secret ends with its link', () => {
  it.each<[string, (client: FakeClient) => void, object]>([
    ['the broker refuses it', refuse, { code: 'CREDENTIALS_FAILED', replyCode: 530, retryable: true }],
    ['the connection breaks', (client) => client.onMethod(UPDATE, () => client.reset()), { code: 'CONNECTION_LOST' }],
  ])('when %s', async (_when, script, error) => {
    const fake = closing(await FakeBroker.start(script));
    const link = await dialled(amqpTransport, fake.url);
    const failed = await rejection(link.updateSecret('secret'));
    expect(failed).toMatchObject(error);
    expect(failed).toBe(link.lost);
    expect(await rejection(link.updateSecret('secret'))).toBe(link.lost);
  });

  it('when it is given up', async () => {
    const fake = closing(await FakeBroker.start((client) => client.onMethod(UPDATE, 'ignore')));
    const failed = rejection((await dialled(amqpTransport, fake.url)).updateSecret('secret'));
    await (await eventually(() => fake.clients[0])).until(UPDATE);
    hangUp();
    expect(await failed).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });
});

describe('a connection whose credentials are renewed', () => {
  it('gives the broker each of them, and the reason', async () => {
    const { connection, fake } = await start(undefined, { credentials: tokens(300) });
    await connection.connect();
    const { fields } = await fake.clients[0]!.until(UPDATE);
    expect(fields).toEqual({ newSecret: Buffer.from('token 2'), reason: expect.any(String) as string });
    await fake.clients[0]!.until(UPDATE, ({ fields: later }) => String(later['newSecret']) === 'token 3');
    expect(fake.clients).toHaveLength(1);
  });

  it('does not blame a consumer that attaches at the time when the broker refuses them', async () => {
    const { connection, fake } = await start(
      (client, number) => {
        if (number > 1) return;
        refuse(client);
        client.onMethod('basic.consume', 'ignore');
      },
      { credentials: tokens(300) },
    );
    const consumer = closing(new Consumer(connection, { queue: 'orders', declare: false }));
    const states = collect(consumer.state$);
    collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    expect(states.values.map(({ status }) => status)).not.toContain('stopped');
    expect(fake.clients).toHaveLength(2);
  });

  it('is dialled again, with the next ones, when the broker does not answer before they expire', async () => {
    const { connection, fake } = await start((client, number) => number === 1 && client.onMethod(UPDATE, 'ignore'), {
      credentials: tokens(300),
    });
    const states: ConnectionState[] = [];
    connection.state$.subscribe((state) => states.push(state));
    await connection.connect();
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(states.find(({ status }) => status === 'reconnecting')).toMatchObject({
      cause: {
        code: 'CREDENTIALS_FAILED',
        message: expect.stringMatching(/expired before they were renewed\. The broker did not confirm/) as string,
      },
    });
    expect(fake.clients[0]!.received.filter(({ name }) => name === UPDATE)).toHaveLength(1);
  });

  it('renews also those of the connection on which a setup is tried', async () => {
    const { connection, fake } = await start(undefined, { credentials: tokens(300) });
    await connection.core.rehearse(async () => {
      const [rehearsal] = fake.clients;
      await rehearsal!.until(UPDATE, ({ fields }) => String(fields['newSecret']) === 'token 3');
    });
    expect(connection.state.status).toBe('disconnected');
    await fake.clients[0]!.closed;
  });
});
