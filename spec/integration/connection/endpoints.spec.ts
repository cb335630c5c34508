import { Connection, type Endpoints } from 'instance-queue';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { freePort } from '../../../compose/ports';
import { closeAll, closing } from '../../support/closing';
import { rejection, until } from '../../support/waiting';

let fake: FakeBroker;
beforeEach(async () => {
  fake = await FakeBroker.start();
});
afterEach(async () => {
  await closeAll();
  await fake.close();
});

const dead = async (): Promise<string> => `amqp://127.0.0.1:${await freePort()}/`;
const failing = (url: Endpoints | (() => Endpoints | Promise<Endpoints>), connectTimeout = 10_000): Promise<unknown> =>
  rejection(closing(new Connection({ url, connectTimeout, reconnect: { initialAttempts: 1 } })).connect());

describe('several endpoints', () => {
  it('are all tried before anybody waits: dead ones cost no delay', async () => {
    // Random order: ten times, so that the live one is hardly always the first.
    for (let time = 0; time < 10; time += 1) {
      const connection = closing(new Connection({ url: [await dead(), fake.url, await dead()] }));
      const seen: string[] = [];
      connection.state$.subscribe(({ status }) => seen.push(status));
      await connection.connect();
      expect(seen).toEqual(['disconnected', 'connecting', 'connected']);
    }
  });

  it('that are all dead make one failed attempt, told by one of them', async () => {
    const urls = [await dead(), await dead()];
    const error = await failing(urls);
    expect(error).toMatchObject({ code: 'CONNECT_FAILED' });
    expect(urls.map((url) => new URL(url).host)).toContain((error as { endpoint: string }).endpoint.slice(0, -1));
  });

  it('one of which refuses for good tell that, for the others can mend themselves', async () => {
    fake.clients.length = 0;
    const refusing = await FakeBroker.start((client) => {
      client.onMethod('connection.start-ok', () => client.closeConnection(403, 'ACCESS_REFUSED'));
    });
    expect(await failing([await dead(), refusing.url, await dead()])).toMatchObject({ replyCode: 403 });
    await refusing.close();
  });
});

describe('a function for the endpoints', () => {
  it('is asked at every attempt', async () => {
    const given: Endpoints[] = [await dead(), [await dead()], fake.url];
    let asked = 0;
    const connection = closing(
      new Connection({ url: () => given[Math.min(asked++, 2)]!, reconnect: { min: 1, max: 1 } }),
    );
    await connection.connect();
    expect(asked).toBe(3);
    fake.clients[0]!.reset();
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(asked).toBe(4);
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
    ['gives no URL', () => 'amqp://user:hush@', /Expected `url` to be an AMQP URL/],
    ['gives an empty list', () => [], /or a list of at least one/],
    ['hangs', () => new Promise<string>(() => undefined), /the `url` function gave no endpoint within 50 ms/],
  ])(
    'that %s is a failed attempt, told in a sentence',
    async (_, url: () => Endpoints | Promise<Endpoints>, sentence) => {
      const error = await failing(url, 50);
      expect(error).toMatchObject({ code: 'CONNECT_FAILED', retryable: true });
      expect((error as Error).message).toMatch(sentence);
      expect((error as Error).message).not.toContain('hush');
    },
  );

  it('that recovers is good again', async () => {
    let asked = 0;
    const url = (): string => {
      if ((asked += 1) < 3) throw new Error('not yet');
      return fake.url;
    };
    await closing(new Connection({ url, reconnect: { min: 1, max: 1 } })).connect();
    expect(asked).toBe(3);
  });
});

describe('a host name that DNS does not know', () => {
  it('is asked for again at every attempt', async () => {
    const url = 'amqp://user:hush@no-such-host.invalid';
    const connection = closing(new Connection({ url, reconnect: { min: 1, max: 1 } }));
    void connection.connect().catch(() => undefined);
    const state = await until(connection.state$, (s) => s.status === 'reconnecting' && s.attempt === 3);
    expect(state).toMatchObject({ cause: { code: 'CONNECT_FAILED', retryable: true } });
    expect(JSON.stringify(state)).not.toContain('hush');
  });
});
