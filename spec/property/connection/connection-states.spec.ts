import fc from 'fast-check';
import { Subject } from 'rxjs';
import { Supervisor, type Reached } from '../../../lib/connection/supervisor';
import type { ConnectionState } from '../../../lib/connection/connection-state';
import { ConnectionError } from '../../../lib/errors';

type Status = ConnectionState['status'];

/** From which state to which a connection may go. */
const ALLOWED: Readonly<Record<Status, readonly Status[]>> = {
  disconnected: ['connecting', 'closing', 'closed'],
  connecting: ['connected', 'reconnecting', 'closing', 'closed'],
  connected: ['reconnecting', 'closing', 'closed'],
  // Before the first success each attempt says `connecting`; later ones come up straight away.
  reconnecting: ['connecting', 'connected', 'reconnecting', 'closing', 'closed'],
  closing: ['closed'],
  closed: [],
};

type Event = 'start' | 'open' | 'fail' | 'refuse' | 'wait' | 'skip' | 'drop' | 'closing' | 'stop';
const event = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<Event>('start', 'open', 'fail', 'wait', 'skip') },
  { weight: 2, arbitrary: fc.constantFrom<Event>('drop', 'refuse') },
  { weight: 1, arbitrary: fc.constantFrom<Event>('closing', 'stop') },
);
const backoff = fc.record({
  min: fc.integer({ min: 0, max: 100 }),
  max: fc.integer({ min: 100, max: 1000 }),
  factor: fc.integer({ min: 1, max: 3 }),
  jitter: fc.constantFrom(0, 1),
  attempts: fc.oneof(fc.constant(Infinity), fc.nat(3)),
  initialAttempts: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 3 })),
  stableAfter: fc.integer({ min: 0, max: 500 }),
});
const options = fc.record({ backoff, failFast: fc.boolean() });

/** A supervisor in the hands of chance; `react` may act while it is being told of a state. */
class World {
  readonly seen: ConnectionState[] = [];
  /** What one who subscribed last saw. */
  readonly seenBehind: ConnectionState[] = [];
  readonly dials: Subject<Reached>[] = [];
  readonly supervisor: Supervisor<Reached>;
  completed = false;

  constructor(given: typeof options extends fc.Arbitrary<infer T> ? T : never, react: readonly Event[]) {
    this.supervisor = new Supervisor(() => {
      const dial = new Subject<Reached>();
      this.dials.push(dial);
      return dial;
    }, given);
    const reactions = [...react];
    let watched = false;
    this.supervisor.state$.subscribe((state) => {
      this.seen.push(state);
      const next = watched ? reactions.shift() : undefined;
      if (next !== undefined) this.run(next);
    });
    this.supervisor.state$.subscribe({
      next: (state) => this.seenBehind.push(state),
      complete: () => {
        this.completed = true;
      },
    });
    watched = true;
  }

  run(next: Event): void {
    const { supervisor, dials } = this;
    const dial = dials.at(-1);
    const error = (replyCode?: number): ConnectionError =>
      new ConnectionError('CONNECT_FAILED', 'here', 'No.', { replyCode });
    switch (next) {
      case 'start':
        supervisor.start();
        break;
      case 'open':
        // A dial opens once.
        if (supervisor.up === undefined) dial?.next({ endpoint: 'here' });
        break;
      case 'fail':
        dial?.error(error());
        break;
      case 'refuse':
        dial?.error(error(403));
        break;
      case 'wait':
        jest.advanceTimersByTime(1000);
        break;
      case 'skip':
        supervisor.skipWait();
        break;
      case 'drop':
        supervisor.drop(error());
        break;
      case 'closing':
        supervisor.closing();
        break;
      case 'stop':
        // Never without the other: so does the only one who stops it.
        supervisor.closing();
        supervisor.stop();
        break;
    }
  }
}

describe('whatever happens to a connection, in whatever order', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const whatever = (react: fc.Arbitrary<Event[]>, holds: (world: World) => void): void => {
    fc.assert(
      fc.property(options, fc.array(event, { maxLength: 60 }), react, (given, events, reactions) => {
        const world = new World(given, reactions);
        for (const next of events) world.run(next);
        world.run('stop');
        holds(world);
        expect(jest.getTimerCount()).toBe(0);
        expect(world.dials.filter((dial) => dial.observed)).toHaveLength(0);
      }),
      { numRuns: 400 },
    );
  };

  const holdsTogether = ({ seen, seenBehind, completed, supervisor }: World): void => {
    // All are told the same, in the same order.
    expect(seenBehind).toEqual(seen);
    for (const [i, { status }] of seen.entries()) {
      const before = seen[i - 1]?.status;
      if (before === undefined) expect(status).toBe('disconnected');
      else
        expect(`${before} → ${ALLOWED[before].includes(status) ? status : `not ${status}`}`).toBe(
          `${before} → ${status}`,
        );
    }
    const epochs = seen.flatMap((state) => (state.status === 'connected' ? [state.epoch] : []));
    expect(epochs).toEqual(epochs.map((_, i) => i + 1));
    expect(seen.at(-1)).toBe(supervisor.state);
    expect(supervisor.state.status).toBe('closed');
    expect(completed).toBe(true);
  };

  it('its states follow each other as they may, its epoch grows by one, and it ends closed with nothing left', () => {
    whatever(fc.constant([]), holdsTogether);
  });

  it('the same holds when a subscriber acts on each state while it is being told of it', () => {
    whatever(fc.array(event, { maxLength: 10 }), holdsTogether);
  });

  it('attempts of one outage are counted one by one', () => {
    whatever(fc.constant([]), ({ seen }) => {
      for (const [i, state] of seen.entries()) {
        const before = seen[i - 1];
        if (state.status !== 'reconnecting' || before === undefined) continue;
        if (before.status === 'connected') expect(state.attempt).toBe(1);
        if (before.status === 'connecting' || before.status === 'reconnecting')
          expect(state.attempt).toBe(before.attempt + 1);
      }
    });
  });
});
