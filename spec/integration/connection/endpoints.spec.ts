import { Connection, type Endpoints } from 'instance-queue';
import type { FakeBroker } from '../../support/fake-broker/fake-broker';
import { freePort } from '../../../compose/ports';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { rejection, until } from '../../support/waiting';

const { start } = fakeBrokerFixture();
let fake: FakeBroker;
beforeEach(async () => {
  ({ fake } = await start());
});

const dead = async (): Promise<string> => `amqp://127.0.0.1:${await freePort()}/`;
const failing = (url: Endpoints | (() => Endpoints | Promise<Endpoints>), connectTimeout = 10_000): Promise<unknown> =>
  rejection(closing(new Connection({ url, connectTimeout, reconnect: { initialAttempts: 1 } })).connect());

describe('several endpoints', () => {
  it('are all tried before any delay: dead ones cost no time', async () => {
    // The order is random: ten times, so that the live one is not always the first.
    for (let time = 0; time < 10; time += 1) {
      const connection = closing(new Connection({ url: [await dead(), fake.url, await dead()] }));
      const seen: string[] = [];
      connection.state$.subscribe(({ status }) => seen.push(status));
      await connection.connect();
      expect(seen).toEqual(['disconnected', 'connecting', 'connected']);
    }
  });

  it('that are all dead make one failed attempt, with the error of one of them', async () => {
    const urls = [await dead(), await dead()];
    const error = await failing(urls);
    expect(error).toMatchObject({ code: 'CONNECT_FAILED' });
    expect(urls.map((url) => new URL(url).host)).toContain((error as { endpoint: string }).endpoint.slice(0, -1));
  });

  it('of which one refuses for good fail with that refusal, because the others may recover', async () => {
    const { fake: refusing } = await start((client) => {
      client.onMethod('connection.start-ok', () => client.closeConnection(403, 'ACCESS_REFUSED'));
    });
    expect(await failing([await dead(), refusing.url, await dead()])).toMatchObject({ replyCode: 403 });
  });
});

describe('a function for the endpoints', () => {
  it('is called for every attempt', async () => {
    const answers: Endpoints[] = [await dead(), [await dead()], fake.url];
    let calls = 0;
    const connection = closing(
      new Connection({ url: () => answers[Math.min(calls++, 2)]!, reconnect: { min: 1, max: 1 } }),
    );
    await connection.connect();
    expect(calls).toBe(3);
    fake.clients[0]!.reset();
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(calls).toBe(4);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no discovery today');
      },
      /no discovery today/,
    ],
    ['rejects', () => Promise.reject(new Error('no discovery today')), /no discovery today/],
    ['returns no URL', () => 'amqp://user:hush@', /Expected `url` to be an AMQP URL/],
    ['returns an empty list', () => [], /or a list of at least one/],
    ['hangs', () => new Promise<string>(() => undefined), /the `url` function gave no endpoint within 50 ms/],
  ])(
    'that %s makes a failed attempt, and the error says so',
    async (_, url: () => Endpoints | Promise<Endpoints>, sentence) => {
      const error = await failing(url, 50);
      expect(error).toMatchObject({ code: 'CONNECT_FAILED', retryable: true });
      expect((error as Error).message).toMatch(sentence);
      expect((error as Error).message).not.toContain('hush');
    },
  );

  it('that recovers is used again', async () => {
    let calls = 0;
    const url = (): string => {
      if ((calls += 1) < 3) throw new Error('not yet');
      return fake.url;
    };
    await closing(new Connection({ url, reconnect: { min: 1, max: 1 } })).connect();
    expect(calls).toBe(3);
  });
});

describe('a host name that DNS does not know', () => {
  it('is looked up again for every attempt', async () => {
    const url = 'amqp://user:hush@no-such-host.invalid';
    const connection = closing(new Connection({ url, reconnect: { min: 1, max: 1 } }));
    void connection.connect().catch(() => undefined);
    const state = await until(connection.state$, (s) => s.status === 'reconnecting' && s.attempt === 3);
    expect(state).toMatchObject({ cause: { code: 'CONNECT_FAILED', retryable: true } });
    expect(JSON.stringify(state)).not.toContain('hush');
  });
});
