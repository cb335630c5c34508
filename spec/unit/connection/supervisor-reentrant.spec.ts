import type { ConnectionState } from '../../../lib/connection/connection-state';
import type { Reached, Supervisor } from '../../../lib/connection/supervisor';
import { marbles } from '../../support/marbles';
import {
  closed,
  connected,
  connecting,
  disconnected,
  failed,
  link,
  lost,
  reconnecting,
  supervise,
} from './supervising';

/** What a subscriber saw, and what it does when it sees a status. */
function watching(log: ConnectionState[], status: string, react: () => void) {
  return (state: ConnectionState): void => {
    log.push(state);
    if (state.status === status) react();
  };
}

describe('a subscriber that acts on a state while it is being told of it', () => {
  it(
    'does not change the order in which others see states: nobody stays at `connected`',
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const { supervisor } = supervise(helpers, [cold('-L', { L: link }), cold('-----', {})]);
      const first: ConnectionState[] = [];
      const second: ConnectionState[] = [];
      let drops = 0;
      supervisor.state$.subscribe(
        watching(first, 'connected', () => {
          if (drops++ === 0) supervisor.drop(lost);
        }),
      );
      supervisor.state$.subscribe((state) => second.push(state));
      supervisor.start();
      flush();
      const seen = [disconnected, connecting(1), connected(1), reconnecting(1, 0, lost), closed()];
      expect(first).toEqual(seen);
      expect(second).toEqual(seen);
    }),
  );

  it(
    'is believed by those who use the link: one that was dropped while it was announced is never handed out',
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const { supervisor } = supervise(helpers, [cold('-L', { L: link }), cold('-L', { L: link })]);
      const epochs: (number | undefined)[] = [];
      let drops = 0;
      supervisor.state$.subscribe(
        watching([], 'connected', () => {
          if (drops++ === 0) supervisor.drop(lost);
        }),
      );
      supervisor.up$.subscribe((up) => epochs.push(up?.epoch));
      supervisor.start();
      flush();
      expect(epochs.filter((epoch) => epoch !== undefined)).toEqual([2]);
    }),
  );

  it.each<[string, (supervisor: Supervisor<Reached>) => void]>([
    ['may end the wait that is being announced', (supervisor) => supervisor.skipWait()],
    ['may ask for another dial, instead of the wait that is being announced', (supervisor) => supervisor.drop(lost)],
  ])('%s', (_, react) => {
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const refused = () => cold<Reached>('------#', {}, failed);
      const dials = [refused(), refused(), cold('-L', { L: link })];
      const { supervisor } = supervise(helpers, dials, { min: 100 });
      let reactions = 0;
      supervisor.state$.subscribe(
        watching([], 'reconnecting', () => {
          if (reactions++ === 0) react(supervisor);
        }),
      );
      supervisor.start();
      // The first wait is skipped, the second is not.
      expectObservable(supervisor.state$, '^ 300ms !').toBe('a-----(bc)--d 199ms ef', {
        a: connecting(1),
        b: reconnecting(2, 100, failed),
        c: connecting(2),
        d: reconnecting(3, 200, failed),
        e: connecting(3),
        f: connected(1),
      });
    })();
  });

  it('gets one dial for all that it skips and drops in one wait, and none if it stops it all behind that', () => {
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const { supervisor, count } = supervise(helpers, [cold<Reached>('--#', {}, failed)], { min: 100 });
      const dials: number[] = [];
      supervisor.state$.subscribe(
        watching([], 'reconnecting', () => {
          dials.push(count());
          for (let i = 0; i < 3; i++) {
            supervisor.skipWait();
            supervisor.drop(lost);
          }
          if (dials.length === 3) supervisor.stop();
        }),
      );
      supervisor.start();
      flush();
      expect(dials).toEqual([1, 2, 3]);
      expect([count(), supervisor.state]).toEqual([3, closed()]);
    })();
  });

  it.each(['connecting', 'connected', 'reconnecting'])('may stop it all at `%s`', (status) => {
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const { supervisor } = supervise(helpers, [cold('-L-#', { L: link }, lost)]);
      const first: ConnectionState[] = [];
      const second: ConnectionState[] = [];
      let completed = 0;
      supervisor.state$.subscribe(watching(first, status, () => supervisor.stop()));
      supervisor.state$.subscribe({ next: (state) => second.push(state), complete: () => completed++ });
      supervisor.start();
      flush();
      expect(second).toEqual(first);
      expect(second.at(-2)?.status).toBe(status);
      expect(second.at(-1)).toEqual(closed());
      expect(completed).toBe(1);
    })();
  });

  it(
    'that comes late sees the present, and after the end the last state',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { supervisor } = supervise(helpers, [cold('-L', { L: link })]);
      supervisor.start();
      expectObservable(supervisor.state$, '-----^---!').toBe('-----a', { a: connected(1) });
      expectObservable(supervisor.state$, '1100ms ^').toBe('1100ms (a|)', { a: closed() });
    }),
  );

  it(
    'gets states that nobody can change',
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const { supervisor } = supervise(helpers, [cold('-L-#', { L: link }, lost)]);
      const frozen = new Map<string, boolean>();
      supervisor.state$.subscribe((state) => frozen.set(state.status, Object.isFrozen(state)));
      supervisor.start();
      flush();
      expect(Object.fromEntries(frozen)).toEqual({
        disconnected: true,
        connecting: true,
        connected: true,
        reconnecting: true,
        closed: true,
      });
    }),
  );
});
