import { subscribe, unsubscribe, type TracingChannel } from 'node:diagnostics_channel';

/** Loads the module on a Node whose tracing channels do not say themselves whether anybody listens, as before 20.13. */
function tracingOfOlderNode(): (name: string) => TracingChannel<unknown, object> {
  jest.doMock('node:diagnostics_channel', () => {
    const actual = jest.requireActual<typeof import('node:diagnostics_channel')>('node:diagnostics_channel');
    const tracingChannel = (name: string): object => {
      const { start, end, asyncStart, asyncEnd, error } = actual.tracingChannel<unknown, object>(name);
      return { start, end, asyncStart, asyncEnd, error };
    };
    return { ...actual, tracingChannel };
  });
  let tracing: ((name: string) => TracingChannel<unknown, object>) | undefined;
  jest.isolateModules(() => {
    ({ tracing } = jest.requireActual<typeof import('../../lib/diagnostics')>('../../lib/diagnostics'));
  });
  if (!tracing) throw new Error('The module did not load.');
  return tracing;
}

describe('a tracing channel', () => {
  afterEach(() => {
    jest.dontMock('node:diagnostics_channel');
  });

  it.each(['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const)(
    'has subscribers while anybody listens to %s, on a Node that does not say so itself',
    (step) => {
      const traces = tracingOfOlderNode()(`older Node, ${step}`);
      const listener = (): void => undefined;
      expect(traces.hasSubscribers).toBe(false);
      subscribe(traces[step].name, listener);
      expect(traces.hasSubscribers).toBe(true);
      unsubscribe(traces[step].name, listener);
      expect(traces.hasSubscribers).toBe(false);
    },
  );
});
