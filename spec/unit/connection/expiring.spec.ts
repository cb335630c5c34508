import { inspect } from 'node:util';
import type { ConnectionState, Credentials, InstanceQueueOptions, LogEntry } from 'instance-queue';
import { readiness } from 'instance-queue/health';
import { FakeInstanceQueue } from 'instance-queue/testing';

const LIFETIME = 30_000;
const SECRET = 'a-token-that-is-secret';

let queue: FakeInstanceQueue | undefined;
beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(async () => {
  const closed = queue?.close({ drainTimeout: 0 });
  await soon(1000);
  await closed;
  queue = undefined;
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

const soon = (ms = 0): Promise<void> => jest.advanceTimersByTimeAsync(ms);

/** A client that logs in with tokens of 30 s, as long as `working`; `hanging` calls are never answered. */
function client(options: Partial<InstanceQueueOptions> = {}) {
  const source = { working: true, hanging: false, calls: 0 };
  const credentials = (): Credentials | Promise<Credentials> => {
    source.calls++;
    if (source.hanging) return new Promise(() => undefined);
    if (!source.working) throw new Error('no tokens today');
    return { username: 'app', password: `${SECRET}-${source.calls}`, expiresAt: new Date(Date.now() + LIFETIME) };
  };
  const log: LogEntry[] = [];
  const opened = new FakeInstanceQueue({
    credentials,
    reconnect: { min: 100, max: 1000, factor: 2, jitter: 0 },
    logger: (entry) => log.push(entry),
    ...options,
  });
  queue = opened;
  const states: ConnectionState[] = [];
  opened.state$.subscribe(({ producer }) => {
    if (states.at(-1) !== producer) states.push(producer);
  });
  const events: string[] = [];
  for (const name of ['connected', 'reconnecting'] as const)
    opened.on(name, (_state, role) => events.push(`${role} ${name}`));
  return { queue: opened, source, log, states, events };
}

describe('both connections of a queue', () => {
  it('log in and are renewed with what one call gives, and ask again for each attempt', async () => {
    const { queue, source, events } = client();
    await Promise.all([queue.connect(), soon(10)]);
    expect(source.calls).toBe(1);
    await soon(LIFETIME * 0.67);
    expect(source.calls).toBe(2);
    await soon(LIFETIME * 0.67);
    expect(source.calls).toBe(3);
    expect(events).toEqual(['producer connected', 'consumer connected']);
    queue.broker.disconnect();
    await soon(2500);
    const attempts = source.calls - 3;
    expect(attempts).toBeGreaterThanOrEqual(4);
    queue.broker.reconnect();
    await soon(100);
    expect(queue.health.status).toBe('up');
    expect(source.calls).toBeGreaterThan(3 + attempts);
  });

  it('say that their credentials could not be renewed, go on, and say so when they are', async () => {
    const { queue, source, states, events, log } = client();
    await Promise.all([queue.connect(), soon(10)]);
    source.working = false;
    await soon(LIFETIME * 0.67);
    const expiring = {
      attempt: 2,
      delay: 100,
      cause: { code: 'CREDENTIALS_FAILED', message: expect.stringContaining('no tokens') as string },
    };
    expect(states.at(-2)).toMatchObject({ status: 'connected', epoch: 1, expiring });
    expect(queue.state.producer).toMatchObject({ status: 'connected', epoch: 1, expiring: { attempt: 3 } });
    expect(Object.isFrozen(queue.state.producer)).toBe(true);
    expect(queue.health.status).toBe('degraded');
    expect(readiness(queue).body.reasons).toMatchObject([
      { of: 'connection', role: 'producer', status: 'expiring', code: 'CREDENTIALS_FAILED' },
      { of: 'connection', role: 'consumer', status: 'expiring', code: 'CREDENTIALS_FAILED' },
    ]);
    await queue.send({ queue: 'orders', body: 1 });
    source.working = true;
    await soon(1000);
    expect(queue.state.producer).toEqual({ status: 'connected', epoch: 1, endpoint: expect.any(String) as string });
    expect(queue.health.status).toBe('up');
    expect(events).toEqual(['producer connected', 'consumer connected']);
    const warnings = log.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toEqual(Array(2).fill('cannot renew the credentials'));
  });

  it('wait for the source when the credentials expired: what is sent meanwhile goes out when it gives again', async () => {
    const { queue, source, states } = client();
    await Promise.all([queue.connect(), soon(10)]);
    source.working = false;
    await soon(LIFETIME);
    const lost = states.find(({ status }) => status === 'reconnecting');
    expect(lost).toMatchObject({
      cause: {
        code: 'CREDENTIALS_FAILED',
        message: expect.stringContaining(
          'expired before they were renewed. The `credentials` function failed: no tokens today',
        ) as string,
      },
    });
    expect(queue.state.producer).toMatchObject({
      status: 'reconnecting',
      cause: { message: 'The `credentials` function failed: no tokens today' },
    });
    const confirmation = queue.send({ queue: 'orders', body: 1 });
    await soon(5000);
    source.working = true;
    await soon(2000);
    await expect(confirmation).resolves.toMatchObject({ epoch: 2 });
  });

  it('neither log nor show what the source gave', async () => {
    const { queue, source, states, log } = client();
    await Promise.all([queue.connect(), soon(10)]);
    await soon(LIFETIME * 0.67);
    source.working = false;
    await soon(LIFETIME);
    const output = inspect([log, states, queue, queue.health, queue.metrics], { depth: 20, showHidden: true });
    expect(output).toContain('no tokens today');
    expect(output).not.toContain(SECRET);
  });
});

describe('a source that cannot give is a failed attempt', () => {
  it('with its cause; connect() rejects when the attempts are spent', async () => {
    const { queue, source } = client({ reconnect: { initialAttempts: 2, min: 10 } });
    source.working = false;
    const refused = expect(queue.connect()).rejects.toMatchObject({
      code: 'CREDENTIALS_FAILED',
      message: 'Gave up after 2 attempts. The `credentials` function failed: no tokens today',
      cause: { cause: { message: 'no tokens today' } },
    });
    await soon(1000);
    await refused;
  });

  it('after `connectTimeout` if it does not answer', async () => {
    const { queue, source } = client({ connectTimeout: 500 });
    source.hanging = true;
    const connected = queue.connect();
    await soon(501);
    expect(queue.state.producer).toMatchObject({
      status: 'reconnecting',
      attempt: 2,
      cause: { code: 'CREDENTIALS_FAILED' },
    });
    source.hanging = false;
    await Promise.all([connected, soon(2000)]);
  });
});

describe('close() leaves no timer', () => {
  const close = async (): Promise<void> => {
    const closed = queue?.close({ drainTimeout: 0 });
    await soon();
    await closed;
    expect(jest.getTimerCount()).toBe(0);
  };

  it('while the first attempt asks', async () => {
    const { queue, source } = client();
    source.hanging = true;
    const refused = expect(queue.connect()).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    await soon(10);
    await close();
    await refused;
  });

  it.each(['working', 'hanging'] as const)('while a renewal asks, or waits to ask again (%s)', async (source) => {
    const under = client();
    await Promise.all([under.queue.connect(), soon(10)]);
    under.source[source] = source === 'hanging';
    await soon(LIFETIME * 0.67);
    await close();
  });

  it('while it waits for the next renewal', async () => {
    const { queue } = client();
    await Promise.all([queue.connect(), soon(10)]);
    await close();
  });
});
