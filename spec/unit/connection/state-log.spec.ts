import { ConnectionError } from 'instance-queue';
import { type ConnectionState, StateLog } from '../../../lib/connection/connection-state';
import { Counters } from '../../../lib/counters';

const gone = new ConnectionError('CONNECTION_LOST', 'here', 'It is gone.');
const refused = new ConnectionError('CONNECT_FAILED', 'here', 'Nobody is there.');
const expiresAt = new Date(0);

const connecting = (attempt: number): ConnectionState => ({ status: 'connecting', attempt });
const connected = (epoch: number): ConnectionState => ({ status: 'connected', epoch, endpoint: 'here' });
const expiring = (attempt: number, cause = refused): ConnectionState => ({
  status: 'connected',
  epoch: 1,
  endpoint: 'here',
  expiring: { expiresAt, attempt, delay: 5, cause },
});
const reconnecting = (attempt: number, cause: ConnectionError): ConnectionState => ({
  status: 'reconnecting',
  attempt,
  delay: 5,
  cause,
});

/** What is logged of these states, `wait` ms apart, and how often it reconnected. */
function logged(states: readonly ConnectionState[], wait = 0) {
  const lines: unknown[] = [];
  const level = (name: string) => (facts: object | string, message?: string) =>
    lines.push(message === undefined ? [name, facts] : [name, message, facts]);
  const log = { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
  const counters = new Counters();
  const states$ = new StateLog(log, counters);
  let before: ConnectionState | undefined;
  for (const state of states) {
    states$.write(before, state);
    before = state;
    jest.advanceTimersByTime(wait);
  }
  return { lines, reconnects: counters.reconnects };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('the log of a connection', () => {
  it('tells how it came up, how it was lost, how long it was away, and how it ended', () => {
    const states: ConnectionState[] = [
      { status: 'disconnected' },
      connecting(1),
      connected(1),
      reconnecting(1, gone),
      reconnecting(2, refused),
      connected(2),
      { status: 'closing' },
      { status: 'closed' },
    ];
    expect(logged(states, 100)).toEqual({
      lines: [
        ['info', 'connecting', { attempt: 1 }],
        ['info', 'connected', { epoch: 1, endpoint: 'here' }],
        ['warn', 'connection lost', { attempt: 1, delay: 5, err: gone }],
        ['warn', 'cannot connect', { attempt: 2, delay: 5, err: refused }],
        ['info', 'connected', { epoch: 2, endpoint: 'here', outage: 200 }],
        ['info', 'closing'],
        ['info', 'closed'],
      ],
      reconnects: 1,
    });
  });

  it('is one line per cause of a long outage, and not one per attempt', () => {
    const { lines, reconnects } = logged([
      connecting(1),
      reconnecting(2, refused),
      connecting(2),
      reconnecting(3, refused),
      connecting(3),
      reconnecting(4, gone),
      reconnecting(5, refused),
      connected(1),
      reconnecting(1, refused),
    ]);
    const levels = lines.map((line) => (line as unknown[]).slice(0, 2).join(': '));
    expect(levels).toEqual([
      'info: connecting',
      'warn: cannot connect',
      'debug: connecting',
      'debug: cannot connect',
      'debug: connecting',
      'warn: cannot connect',
      'warn: cannot connect',
      'info: connected',
      'warn: connection lost',
    ]);
    expect(reconnects).toBe(0);
  });

  it('repeats the cause of a loss in the background alone', () => {
    const { lines } = logged([
      connected(1),
      reconnecting(1, gone),
      reconnecting(2, gone),
      connected(2),
      reconnecting(1, gone),
    ]);
    expect(lines.map((line) => (line as unknown[])[0])).toEqual(['info', 'warn', 'debug', 'info', 'warn']);
  });

  it('tells once per cause that its credentials could not be renewed, and that they were', () => {
    const { lines, reconnects } = logged([
      connected(1),
      expiring(2),
      expiring(3),
      expiring(4, gone),
      connected(1),
      expiring(2, gone),
    ]);
    const facts = { epoch: 1, expiresAt, delay: 5 };
    expect(lines).toEqual([
      ['info', 'connected', { epoch: 1, endpoint: 'here' }],
      ['warn', 'cannot renew the credentials', { ...facts, attempt: 2, err: refused }],
      ['debug', 'cannot renew the credentials', { ...facts, attempt: 3, err: refused }],
      ['warn', 'cannot renew the credentials', { ...facts, attempt: 4, err: gone }],
      ['info', 'credentials renewed after all', { epoch: 1 }],
      ['warn', 'cannot renew the credentials', { ...facts, attempt: 2, err: gone }],
    ]);
    expect(reconnects).toBe(0);
  });

  it('says why it was given up', () => {
    expect(logged([connecting(1), { status: 'closed', cause: refused }]).lines.at(-1)).toEqual([
      'error',
      'connection given up',
      { err: refused },
    ]);
  });
});
