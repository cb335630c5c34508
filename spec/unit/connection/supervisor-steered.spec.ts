import { marbles } from '../../support/marbles';
import {
  at,
  closed,
  closing,
  connected,
  connecting,
  disconnected,
  failed,
  link,
  lost,
  reconnecting,
  supervise,
} from './supervising';

describe('a supervised link that is told what to do', () => {
  it(
    'dials nothing until it is started, and starts once',
    marbles((helpers) => {
      const { cold, expectObservable, expectSubscriptions } = helpers;
      const dial = cold('-L', { L: link });
      const { supervisor, count } = supervise(helpers, [dial]);
      at(helpers, '----(st)', () => supervisor.start());
      expectObservable(supervisor.state$, '^ 20ms !').toBe('a---bc', {
        a: disconnected,
        b: connecting(1),
        c: connected(1),
      });
      expectSubscriptions(dial.subscriptions).toBe('----^ 994ms !');
      at(helpers, '20ms x', () => expect(count()).toBe(1));
    }),
  );

  it(
    'drop() lets go of the link and dials again without delay',
    marbles((helpers) => {
      const { cold, expectObservable, expectSubscriptions } = helpers;
      const first = cold('-L', { L: link });
      const { supervisor } = supervise(helpers, [first, cold('-L', { L: link })]);
      at(helpers, 's----d', () =>
        supervisor.state.status === 'connected' ? supervisor.drop(lost) : supervisor.start(),
      );
      expectObservable(supervisor.state$, '--^ 30ms !').toBe('--a--bc', {
        a: connected(1),
        b: reconnecting(1, 0, lost),
        c: connected(2),
      });
      expectSubscriptions(first.subscriptions).toBe('^----!');
    }),
  );

  it(
    'drop() while a dial is under way replaces that dial',
    marbles((helpers) => {
      const { cold, expectObservable, expectSubscriptions } = helpers;
      const stuck = cold('----------------------L', { L: link });
      const { supervisor } = supervise(helpers, [stuck, cold('L', { L: link })]);
      supervisor.start();
      at(helpers, '---d', () => supervisor.drop(lost));
      expectObservable(supervisor.state$, '^ 30ms !').toBe('a--(bcd)', {
        a: connecting(1),
        b: reconnecting(2, 0, lost),
        c: connecting(2),
        d: connected(1),
      });
      expectSubscriptions(stuck.subscriptions).toBe('^--!');
    }),
  );

  it(
    'drop() and skipWait() end the wait between two attempts',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const down = cold('L#', { L: link }, lost);
      const { supervisor } = supervise(
        helpers,
        [down, cold('#', {}, failed), cold('#', {}, failed), cold('L', { L: link })],
        {
          min: 300,
        },
      );
      supervisor.start();
      at(helpers, '----------s', () => supervisor.skipWait());
      at(helpers, '--------------------d', () => supervisor.drop(lost));
      at(helpers, '------------------------------s', () => supervisor.skipWait());
      expectObservable(supervisor.state$, '-^ 60ms !').toBe('-a--------b---------c---------d', {
        a: reconnecting(1, 300, lost),
        b: reconnecting(2, 600, failed),
        c: reconnecting(3, 1000, failed),
        d: connected(2),
      });
    }),
  );

  it(
    'skipWait() does nothing to a link that is up or being dialled',
    marbles((helpers) => {
      const { cold, expectSubscriptions } = helpers;
      const dial = cold('---L', { L: link });
      const { supervisor } = supervise(helpers, [dial]);
      supervisor.start();
      at(helpers, '-s---s', () => supervisor.skipWait());
      expectSubscriptions(dial.subscriptions).toBe('^ 998ms !');
    }),
  );

  it(
    'expiring() goes into the state of the present link alone, until it is taken back or the link is another',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const [one, other] = [{ ...link }, { ...link }];
      const { supervisor } = supervise(helpers, [cold('L---------#', { L: one }, lost), cold('L', { L: other })]);
      const expiring = { expiresAt: new Date(99), attempt: 2, delay: 10, cause: failed };
      supervisor.start();
      at(helpers, '--x--x', () => supervisor.expiring(one, expiring));
      at(helpers, '-x--xx', () => supervisor.expiring(one, undefined));
      at(helpers, '---------x---------------xx', () => supervisor.expiring(one, expiring));
      expectObservable(supervisor.state$, '^ 50ms !').toBe('a-b-a(ba)bc---------d', {
        a: connected(1),
        b: { ...connected(1), expiring },
        c: reconnecting(1, 10, lost),
        d: connected(2),
      });
    }),
  );

  describe('is closed', () => {
    const cases = [
      ['before it was started', 'x', ''],
      ['while it dials for the first time', '-x', 'first dial'],
      ['while it is up', '-----x', 'up'],
      ['while it waits between two attempts', '--------x', 'wait'],
      ['while it dials again', '---------------------x', 'redial'],
    ] as const;
    it.each(cases)('%s: the dial is let go, the state is complete, no timer is left', (_name, when, phase) => {
      marbles((helpers) => {
        const { cold, expectObservable, flush } = helpers;
        const first = cold('---L--#', { L: link }, lost);
        const second = cold('---------L', { L: link });
        const { supervisor, count } = supervise(helpers, [first, second]);
        if (phase !== '') supervisor.start();
        at(helpers, when, () => {
          supervisor.closing();
          expect(supervisor.state).toEqual(closing);
          supervisor.stop();
          expect(supervisor.state).toEqual(closed());
          expect(supervisor.up).toBeUndefined();
          supervisor.start();
          supervisor.drop(lost);
        });
        expectObservable(supervisor.state$, '500ms ^').toBe('500ms (x|)', { x: closed() });
        expectObservable(supervisor.up$, '500ms ^').toBe('500ms (x|)', { x: undefined });
        flush();
        expect(count()).toBe(phase === '' ? 0 : phase === 'redial' ? 2 : 1);
        for (const { subscriptions } of [first, second]) {
          for (const { unsubscribedFrame } of subscriptions)
            expect(unsubscribedFrame).toBeLessThanOrEqual(when.length - 1);
        }
      })();
    });
  });

  it(
    'keeps its link while it is closing, and says nothing but `closing` until it stopped',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { supervisor } = supervise(helpers, [cold('-L---#', { L: link }, lost)]);
      supervisor.start();
      at(helpers, '---c', () => supervisor.closing());
      at(helpers, '-----------s', () => supervisor.stop());
      expectObservable(supervisor.state$, '-^').toBe('-a-b-------(c|)', { a: connected(1), b: closing, c: closed() });
      expectObservable(supervisor.up$, '---^--!').toBe('---a-b', { a: { link, epoch: 1 }, b: undefined });
    }),
  );
});
