import { inspect } from 'node:util';
import {
  InstanceQueue,
  handle,
  type ConnectionState,
  type Credentials,
  type InstanceQueueOptions,
  type LogEntry,
} from 'instance-queue';
import { startBroker, type Broker } from '../../../compose/broker';
import { OAUTH2_PLUGIN, TokenIssuer } from '../../support/brokers/token-issuer';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection, until } from '../../support/waiting';

/** `RENEWALS=50` makes the long run of it, of one and a half minutes. */
const renewals = Number(process.env.RENEWALS ?? 5);
/** ms; of which the last third is left at a renewal. */
const LIFETIME = 2000;

const issuer = new TokenIssuer();
let broker: Broker;
beforeAll(async () => {
  broker = await startBroker({
    private: true,
    plugins: [OAUTH2_PLUGIN],
    advancedConfig: issuer.advancedConfig,
    say: (line) => process.stderr.write(`broker with OAuth 2: ${line}\n`),
  });
});
afterEach(closeAll);
afterAll(() => broker.stop());

/** What the clients of a test were given, and everything that they logged or had as a state. */
let given: Credentials[] = [];
let shown: unknown[] = [];
afterEach(() => {
  const output = inspect(shown, { depth: 20, maxArrayLength: Infinity, maxStringLength: Infinity });
  for (const { password } of given) expect(output).not.toContain(password);
  [given, shown] = [[], []];
});

/** A client that logs in with what `source.give` gives at the time. */
function client(options: Partial<InstanceQueueOptions> = {}) {
  const source = { give: (): Credentials => issuer.credentials(LIFETIME), calls: 0 };
  const url = new URL(broker.url);
  Object.assign(url, { username: '', password: '' });
  const credentials = async (): Promise<Credentials> => {
    source.calls++;
    const credentials = source.give();
    if (credentials.expiresAt) given.push(credentials);
    return Promise.resolve(credentials);
  };
  const logger = (entry: LogEntry): void => void shown.push(entry);
  const queue = closing(new InstanceQueue({ url: url.href, credentials, name: uniqueName(), logger, ...options }));
  queue.health$.subscribe((health) => shown.push(health));
  const states: ConnectionState[] = [];
  for (const role of ['producer', 'consumer'] as const) {
    queue.state$.subscribe(({ [role]: state }) => {
      if (!states.includes(state)) states.push(state);
    });
  }
  return { queue, source, states };
}

/** Sends, consumes and declares without a break, and remembers what went wrong. */
function load(queue: InstanceQueue) {
  const spec = { name: uniqueName(), expires: 60_000 };
  /** Of sends and of the consumer, which outlive a connection; and of declarations, which do not. */
  const [errors, declaring]: [unknown[], unknown[]] = [[], []];
  const received = new Map<number, number>();
  let sent = 0;
  let stopped = false;
  queue
    .consume<number>({ queue: spec })
    .pipe(handle(({ body }) => void received.set(body, (received.get(body) ?? 0) + 1)))
    .subscribe({ error: (error: unknown) => errors.push(error) });
  const repeat = async (work: () => Promise<unknown>, failures = errors): Promise<void> => {
    // A queue that is closed rejects at once.
    while (!stopped && failures.length < 10) await work().catch((error: unknown) => failures.push(error));
  };
  const running = [
    ...Array.from({ length: 10 }, () => repeat(() => queue.send({ queue: spec.name, body: sent++ }))),
    // Each on a channel of its own: a channel remembers for a while what its user may do.
    repeat(() => queue.admin.declare({ queues: [{ name: uniqueName(), autoDelete: true, expires: 5000 }] }), declaring),
  ];
  return {
    errors,
    declaring,
    progress: () => received.size,
    /** Ends it, and resolves with how many messages arrived how often. */
    async stop() {
      stopped = true;
      await Promise.all(running);
      await eventually(() => received.size === sent);
      return { sent, repeated: [...received.values()].filter((times) => times > 1).length };
    },
  };
}

describe('tokens of 2 s, by the OAuth 2 plugin of RabbitMQ', () => {
  it(
    `${String(renewals)} renewals under load: nothing is lost, nothing fails, and nothing connects anew`,
    async () => {
      const { queue, source, states } = client();
      const { errors, declaring, progress, stop } = load(queue);
      await eventually(() => progress() > 0);
      // Both connections share a call.
      const first = source.calls;
      await eventually(() => source.calls >= first + renewals, renewals * 10_000);
      const { sent, repeated } = await stop();
      expect([errors, declaring]).toEqual([[], []]);
      expect(repeated).toBe(0);
      expect(sent).toBeGreaterThan(renewals * 100);
      expect(first).toBeLessThanOrEqual(2);
      expect(new Set(states.map(({ status }) => status))).toEqual(new Set(['disconnected', 'connecting', 'connected']));
      expect(states.filter((state) => state.status === 'connected')).toHaveLength(2);
      expect(queue.metrics).toMatchObject({ reconnects: 0, reopens: 0, resent: 0 });
    },
    renewals * 10_000 + 60_000,
  );

  it('a source that fails for a while is no gap: the state says so, and the token is renewed in time', async () => {
    const { queue, source, states } = client();
    const { errors, declaring, progress, stop } = load(queue);
    await eventually(() => progress() > 0);
    source.give = () => {
      throw new Error('no tokens for now');
    };
    const { producer } = await until(
      queue.state$,
      (state) => state.producer.status === 'connected' && state.producer.expiring !== undefined,
    );
    source.give = () => issuer.credentials(LIFETIME);
    expect(producer).toMatchObject({
      expiring: {
        cause: { code: 'CREDENTIALS_FAILED', message: expect.stringContaining('no tokens for now') as string },
      },
    });
    expect(queue.health.status).toBe('degraded');
    await until(queue.health$, ({ status }) => status === 'up');
    const seen = progress();
    await eventually(() => progress() > seen + 100);
    expect(await stop()).toMatchObject({ repeated: 0 });
    expect([errors, declaring]).toEqual([[], []]);
    expect(states.filter(({ status }) => status === 'reconnecting')).toEqual([]);
  });

  it('a source that fails for longer than the token lives is an outage: nothing is refused, nothing is lost', async () => {
    const { queue, source, states } = client();
    const { errors, progress, stop } = load(queue);
    await eventually(() => progress() > 0);
    source.give = () => {
      throw new Error('no tokens for now');
    };
    await until(
      queue.state$,
      ({ producer, consumer }) => producer.status === 'reconnecting' && consumer.status === 'reconnecting',
    );
    const gone = states.filter((state) => state.status === 'reconnecting' && state.attempt === 1);
    const sentence = 'expired before they were renewed. The `credentials` function failed: no tokens for now';
    for (const state of gone)
      expect(state).toMatchObject({ cause: { message: expect.stringContaining(sentence) as string } });
    await until(queue.state$, ({ producer }) => producer.status === 'reconnecting' && producer.attempt > 3);
    source.give = () => issuer.credentials(LIFETIME);
    await until(queue.health$, ({ status }) => status === 'up');
    await stop();
    expect(errors).toEqual([]);
  });

  it('a token that the broker refuses at a renewal costs the connection, which comes back with the next', async () => {
    const { queue, source, states } = client();
    const { errors, progress, stop } = load(queue);
    await eventually(() => progress() > 0);
    const stranger = new TokenIssuer();
    let refused = 0;
    source.give = () => (refused++ === 0 ? stranger : issuer).credentials(LIFETIME);
    await until(queue.state$, ({ producer, consumer }) =>
      [producer, consumer].every((state) => state.status === 'connected' && state.epoch > 1),
    );
    const lost = states.filter((state) => state.status === 'reconnecting');
    expect(lost[0]).toMatchObject({
      attempt: 1,
      cause: {
        code: 'CREDENTIALS_FAILED',
        replyCode: 530,
        message: expect.stringContaining('the broker refused the renewed credentials: 530') as string,
      },
    });
    await until(queue.health$, ({ status }) => status === 'up');
    await stop();
    expect(errors).toEqual([]);
  });

  it('a broker that blocks publishing for longer than the token lives reads no renewal: nothing is refused, nothing is lost', async () => {
    const { queue, states } = client();
    const { errors, progress, stop } = load(queue);
    await eventually(() => progress() > 0);
    await broker.memoryAlarm(true);
    try {
      await until(queue.state$, ({ producer }) => producer.status === 'connected' && producer.epoch >= 2);
      await until(queue.health$, ({ blocked }) => blocked !== undefined);
    } finally {
      await broker.memoryAlarm(false);
    }
    await until(queue.health$, ({ status }) => status === 'up');
    await stop();
    expect(errors).toEqual([]);
    expect(states.find(({ status }) => status === 'reconnecting')).toMatchObject({
      cause: { message: expect.stringContaining('The broker did not confirm the new ones.') as string },
    });
  });

  it('a token that the broker refuses at the first login is the end, as is a wrong password', async () => {
    const { queue, source } = client();
    source.give = () => new TokenIssuer().credentials(LIFETIME);
    expect(await rejection(queue.connect())).toMatchObject({ code: 'CONNECT_FAILED', replyCode: 403 });
  });

  it('a password without a time of expiry counts over that of the URL, and is asked for at each attempt only', async () => {
    const { username, password } = new URL(broker.url);
    const wrong = new URL(broker.url);
    Object.assign(wrong, { username: 'nobody', password: 'nothing' });
    const name = uniqueName();
    const { queue, source } = client({ url: wrong.href, name });
    source.give = () => ({ username, password });
    await queue.connect();
    const calls = source.calls;
    await broker.closeConnection(`${name}.producer`);
    await until(queue.state$, ({ producer }) => producer.status === 'connected' && producer.epoch === 2);
    expect(source.calls).toBe(calls + 1);
  });
});
