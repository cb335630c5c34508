import type { Reached } from '../../../lib/connection/supervisor';
import { marbles } from '../../support/marbles';
import {
  at,
  connected,
  connecting,
  disconnected,
  failed,
  forbidden,
  link,
  lost,
  reconnecting,
  supervise,
} from './supervising';

describe('a supervised link', () => {
  it(
    'is dialled again with growing delays, and has a new epoch when it is back',
    marbles((helpers) => {
      const { cold, expectObservable, expectSubscriptions } = helpers;
      const first = cold('--L----#', { L: link }, lost);
      const second = cold<Reached>('#', {}, failed);
      const third = cold('-L', { L: link });
      const { supervisor } = supervise(helpers, [first, second, third]);
      at(helpers, '-s', () => supervisor.start());
      expectObservable(supervisor.state$, '^ 60ms !').toBe('ab-c----d 9ms e 19ms -f', {
        a: disconnected,
        b: connecting(1),
        c: connected(1),
        d: reconnecting(1, 10, lost),
        e: reconnecting(2, 20, failed),
        f: connected(2),
      });
      expectSubscriptions(first.subscriptions).toBe(' -^------!');
      expectSubscriptions(second.subscriptions).toBe('- 17ms (^!)');
    }),
  );

  it(
    'tells of the present link, and of none while there is none',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { supervisor } = supervise(helpers, [cold('--L--#', { L: link }, lost), cold('-L', { L: link })]);
      at(helpers, '-s', () => supervisor.start());
      expectObservable(supervisor.up$, '^ 30ms !').toBe('a--b--c 10ms d', {
        a: undefined,
        b: { link, epoch: 1 },
        c: undefined,
        d: { link, epoch: 2 },
      });
    }),
  );

  it(
    'that goes down soon after it came up does not start its delays over',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const flapping = cold('L----#', { L: link }, lost);
      const { supervisor } = supervise(helpers, [flapping], { stableAfter: 6 });
      at(helpers, '-s', () => supervisor.start());
      expectObservable(supervisor.state$, '-^ 49ms !').toBe('-(bc)-d 9ms e----f 19ms g----h', {
        b: connecting(1),
        c: connected(1),
        d: reconnecting(1, 10, lost),
        e: connected(2),
        f: reconnecting(1, 20, lost),
        g: connected(3),
        h: reconnecting(1, 40, lost),
      });
    }),
  );

  it(
    'starts its delays over when it stayed up for `stableAfter`',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const flapping = cold('L----#', { L: link }, lost);
      const stable = cold('L------#', { L: link }, lost);
      const { supervisor } = supervise(helpers, [flapping, flapping, stable], { stableAfter: 6 });
      at(helpers, 's', () => supervisor.start());
      expectObservable(supervisor.state$, '41ms ^ 10ms !').toBe('41ms u-----x', {
        u: connected(3),
        x: reconnecting(1, 10, lost),
      });
    }),
  );

  it(
    'that fails before its first success is retried, counted from the first attempt',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { supervisor } = supervise(helpers, [
        cold('--#', {}, failed),
        cold('-#', {}, failed),
        cold('-L', { L: link }),
      ]);
      at(helpers, '-s', () => supervisor.start());
      expectObservable(supervisor.state$, '^ 50ms !').toBe('ab-c 9ms de 19ms fg', {
        a: disconnected,
        b: connecting(1),
        c: reconnecting(2, 10, failed),
        d: connecting(2),
        e: reconnecting(3, 20, failed),
        f: connecting(3),
        g: connected(1),
      });
    }),
  );

  it(
    'that is refused for good after it was up once is retried, slowly',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { supervisor, count } = supervise(helpers, [
        cold('L--#', { L: link }, lost),
        cold('#', {}, forbidden),
        cold('#', {}, forbidden),
        cold('L', { L: link }),
      ]);
      at(helpers, '-s', () => supervisor.start());
      // Ten times `min`, grown twice; then three times; capped by `max`.
      expectObservable(supervisor.state$, '-- ^ 700ms !').toBe('--a-b 9ms c 199ms d 399ms e', {
        a: connected(1),
        b: reconnecting(1, 10, lost),
        c: reconnecting(2, 200, forbidden),
        d: reconnecting(3, 400, forbidden),
        e: connected(2),
      });
      at(helpers, '- 700ms x', () => expect(count()).toBe(4));
    }),
  );
});
