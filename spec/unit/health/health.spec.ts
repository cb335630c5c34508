import { distinctUntilChanged, map } from 'rxjs';
import type { ConnectionState } from '../../../lib/connection/connection-state';
import { ConnectionError } from '../../../lib/errors';
import { assess, diagnose, type ConsumerHealth, type Vitals } from '../../../lib/health/health';
import type { ProducerState } from '../../../lib/producer/producer-state';
import { marbles } from '../../support/marbles';

const cause = new ConnectionError('CONNECTION_LOST', 'here', 'Lost.');
const unused: ConnectionState = { status: 'disconnected' };
const up: ConnectionState = { status: 'connected', epoch: 1, endpoint: 'here' };
const expiring: ConnectionState = {
  ...up,
  expiring: {
    expiresAt: new Date(0),
    attempt: 2,
    delay: 10,
    cause: new ConnectionError('CREDENTIALS_FAILED', '', 'No.'),
  },
};
const recovering: ConnectionState = { status: 'reconnecting', attempt: 1, delay: 10, cause };
const closed: ConnectionState = { status: 'closed' };
const attached: ConsumerHealth = { status: 'attached', tag: 't', queue: 'q', epoch: 1, queueName: 'q' };
const detached: ConsumerHealth = { status: 'detached', queueName: 'q' };
const paused: ConsumerHealth = { status: 'paused', queueName: 'orders' };
const draining: ConsumerHealth = { status: 'draining', unsettled: 1, queueName: 'q' };
const stopped: ConsumerHealth = { status: 'stopped', cause, queueName: 'q' };

function vitals(
  producer: ConnectionState,
  consumer: ConnectionState,
  consumers: ConsumerHealth[] = [],
  blocked?: string,
  producers: ProducerState[] = [],
): Vitals {
  return { connections: { producer, consumer }, consumers, producers, blocked };
}

const producing = (...producers: ProducerState[]): Vitals => vitals(up, unused, [], undefined, producers);

describe('the verdict of the moment', () => {
  it.each<[string, Vitals, 'up' | 'degraded' | 'down']>([
    ['nothing was ever asked for', vitals(unused, unused), 'down'],
    ['both connections are up', vitals(up, up), 'up'],
    ['the only connection in use is up', vitals(up, unused), 'up'],
    ['the other only connection in use is up', vitals(unused, up), 'up'],
    ['one connects for the first time', vitals({ status: 'connecting', attempt: 1 }, up), 'degraded'],
    ['one is lost', vitals(up, recovering), 'degraded'],
    ['the credentials of one could not be renewed', vitals(up, expiring), 'degraded'],
    ['one is closing', vitals({ status: 'closing' }, up), 'degraded'],
    ['one gave up', vitals(up, { ...closed, cause }), 'down'],
    ['one is closed', vitals(closed, up), 'down'],
    ['every consumer is attached', vitals(unused, up, [attached, attached]), 'up'],
    ['one consumer is detached, its connection up', vitals(unused, up, [attached, detached]), 'degraded'],
    ['a consumer waits for its first connection', vitals(unused, unused, [detached]), 'degraded'],
    ['a consumer is paused on purpose', vitals(unused, up, [attached, paused]), 'up'],
    ['a consumer drains', vitals(unused, up, [draining]), 'up'],
    ['a consumer gave up', vitals(unused, up, [attached, stopped]), 'down'],
    ['a producer has its channel open', producing({ status: 'open', epoch: 1 }), 'up'],
    ['a producer waits for its channel, its connection up', producing({ status: 'opening', cause }), 'degraded'],
    [
      'one of two producers waits for its channel',
      producing({ status: 'open', epoch: 1 }, { status: 'opening' }),
      'degraded',
    ],
    [
      'a producer waits for its first connection',
      vitals(unused, unused, [], undefined, [{ status: 'opening' }]),
      'degraded',
    ],
    ['a producer gave up', producing({ status: 'open', epoch: 1 }, { status: 'stopped', cause }), 'down'],
    ['publishing is blocked', vitals(up, up, [], 'low on memory'), 'degraded'],
    ['one gave up while the other recovers', vitals(recovering, closed), 'down'],
  ])('%s', (_name, given, status) => {
    expect(assess(given)).toBe(status);
  });
});

describe('the verdict over time', () => {
  const values = {
    u: vitals(up, up),
    d: vitals(up, recovering),
    b: vitals(up, up, [], 'low on memory'),
    x: vitals(up, closed),
    n: vitals(unused, unused),
    e: vitals(expiring, up),
  };
  const told = {
    U: { ...values.u, status: 'up' },
    D: { ...values.d, status: 'degraded' },
    B: { ...values.b, status: 'degraded' },
    O: { ...values.d, status: 'down' },
    P: { ...values.b, status: 'down' },
    X: { ...values.x, status: 'down' },
    N: { ...values.n, status: 'down' },
    E: { ...values.e, status: 'degraded' },
  };
  const diagnosis = (given: string, expected: string) =>
    marbles(({ cold, expectObservable }) => {
      const same = (a: Vitals & { status: string }, b: Vitals & { status: string }): boolean =>
        a.status === b.status && a.connections === b.connections && a.blocked === b.blocked;
      expectObservable(diagnose(cold(given, values), 5).pipe(distinctUntilChanged(same))).toBe(expected, told);
    });

  it('is that of the moment while nothing lasts', diagnosis('u--d--u--x--|', 'U--D--U--X--|'));
  it('is down when it was degraded for `downAfter`', diagnosis('u--d--------|', 'U--D----O---|'));
  it('is up at once when that ends', diagnosis('d------u----|', 'D----O-U----|'));
  it('is down only after `downAfter` again when it degrades anew', diagnosis('d------ud------|', 'D----O-UD----O-|'));
  it('counts from the first trouble, not from the latest change', diagnosis('d---b-----|', 'D---BP----|'));
  it('counts anew when it was up in between', diagnosis('d---ud------|', 'D---UD----O-|'));
  it('is down at once, and stays so, where something gave up', diagnosis('x-------|', 'X-------|'));
  it('is down before anything was asked for, and up as soon as it is', diagnosis('n-u|', 'N-U|'));
  it('is never down over credentials that are about to expire: all works', diagnosis('e--------u|', 'E--------U|'));
  it('counts from their end, when the connection is gone', diagnosis('e----d-----|', 'E----D----O|'));
  it('is degraded at once when they cannot be renewed', diagnosis('u---e------|', 'U---E------|'));
  it('says what changed while it is overdue', diagnosis('d------b--|', 'D----O-P--|'));

  const opening = {
    u: vitals(up, up),
    o: producing({ status: 'opening' }),
    c: vitals({ status: 'connecting', attempt: 1 }, up, [attached]),
    a: vitals({ status: 'connecting', attempt: 2 }, up, [attached]),
    x: producing({ status: 'opening', cause }),
    w: vitals(up, up, [detached], undefined, [{ status: 'opening' }]),
    b: vitals(up, up, [], 'low on memory', [{ status: 'opening' }]),
    d: vitals(unused, unused, [], undefined, [{ status: 'opening' }]),
  };
  const opens = (given: string, expected: string) =>
    marbles(({ cold, expectObservable }) => {
      const statuses = { u: 'up', d: 'degraded', x: 'down' };
      const diagnosis$ = diagnose(cold(given, opening), 2000).pipe(
        map(({ status }) => status),
        distinctUntilChanged(),
      );
      expectObservable(diagnosis$).toBe(expected, statuses);
    });

  it('stays up while the first message opens a channel', opens('u--o--u--|', 'u--------|'));
  it('stays up while the first message opens a connection', opens('u--c--o--u--|', 'u-----------|'));
  it('is degraded when that takes a second', opens('u--o 1500ms u--|', 'u-- 1000ms d 500ms u--|'));
  it('is degraded when the channel was refused', opens('u--o--x--u--|', 'u-----d--u--|'));
  it('is degraded when the first dial failed', opens('u--c--a--u--|', 'u-----d--u--|'));
  it('is degraded while anything else is amiss', opens('u--w--b--u--|', 'u--d-----u--|'));
  it('is not up before it ever was', opens('d--c--o--u--|', 'd--------u--|'));
  it('is down when that lasts', opens('u--o 4s |', 'u-- 1000ms d 1999ms x 1s |'));

  it(
    'leaves no timer behind when nobody listens',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const vitals$ = cold('d', values);
      expectObservable(diagnose(vitals$, 5), '^--!').toBe('D', told);
      expectSubscriptions(vitals$.subscriptions).toBe('^--!');
    }),
  );
});
