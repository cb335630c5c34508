import type * as Testing from 'rxjs/testing';
import type * as Warning from '../../../lib/connection/connection';
import type { ConnectionState } from '../../../lib/connection/connection-state';
import { closed, closing, connected, connecting, disconnected, failed, reconnecting } from './supervising';

const STATES: Record<string, ConnectionState> = {
  d: disconnected,
  c: connecting(1),
  r: reconnecting(1, 10, failed),
  C: connected(1),
  x: closing,
  X: closed(),
  G: closed(failed),
};

const warnings = jest.spyOn(process, 'emitWarning').mockImplementation();
afterEach(() => {
  warnings.mockClear();
  jest.resetModules();
});
afterAll(() => {
  warnings.mockRestore();
});

/** The warnings of a process whose connections are in these states, one after the other. */
function warned(...states: string[]): void {
  // Both of the same fresh registry: virtual time reaches the timers of its own RxJS alone.
  const { TestScheduler } = jest.requireActual<typeof Testing>('rxjs/testing');
  const { warnWithoutConnection } = jest.requireActual<typeof Warning>('../../../lib/connection/connection');
  new TestScheduler((actual, expected) => {
    expect(actual).toEqual(expected);
  }).run(({ hot, cold, flush }) => {
    for (const diagram of states) warnWithoutConnection(hot(diagram, STATES));
    cold('20s |').subscribe();
    flush();
  });
}

describe('a connection that tries in vain', () => {
  it('is warned of after five seconds, with the cause', () => {
    warned('d 10s c 10ms r 10ms c 10ms r');
    expect(warnings.mock.calls).toEqual([
      [
        'No connection to RabbitMQ within 5 s. Nobody there.',
        expect.objectContaining({ type: 'InstanceQueueWarning', code: 'INSTANCE_QUEUE_NOT_CONNECTED' }),
      ],
    ]);
  });

  it('is warned of while its first attempt hangs, too', () => {
    warned('dc 8s -');
    expect(warnings.mock.calls[0]?.[0]).toBe('No connection to RabbitMQ within 5 s.');
  });

  it('is warned of once per process', () => {
    warned('dc 8s -', 'd 6s c 8s -');
    expect(warnings).toHaveBeenCalledTimes(1);
  });
});

describe('there is no warning', () => {
  it.each([
    ['while nobody asked for a connection', 'd'],
    ['when it came up in time', 'dc 4s C'],
    ['when it came up, and was lost later', 'dcC r 10s c'],
    ['when it was closed', 'dc 4s xX'],
    ['when it was given up', 'dc 4s G'],
  ])('%s', (_name, states) => {
    warned(states);
    expect(warnings).not.toHaveBeenCalled();
  });
});
