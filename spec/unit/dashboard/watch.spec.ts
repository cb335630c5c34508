import type { Health } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { BehaviorSubject, type Subscription } from 'rxjs';
import { ConnectionError } from '../../../lib/errors';
import { Watch } from '../../../lib/dashboard/watch';
import type { PageEvent, Present } from '../../../lib/dashboard/view';
import { closeAll, closing } from '../../support/closing';

beforeEach(() => jest.useFakeTimers());
afterEach(async () => {
  jest.useRealTimers();
  await closeAll();
});

/** A page that opens. */
function open(watch: Watch): { readonly present: Present; readonly page: Subscription } {
  const events: PageEvent[] = [];
  const page = watch.event$.subscribe((event) => events.push(event));
  const [first] = events;
  if (first?.[0] !== 'present') throw new Error('The first event is the present.');
  return { present: first[1], page };
}

it('a page that reloads shows the samples from before', () => {
  const watch = new Watch(closing(new FakeInstanceQueue()), 'orders');
  const { page } = open(watch);
  jest.advanceTimersByTime(5000);
  page.unsubscribe();
  jest.advanceTimersByTime(1000);
  const { present, page: reloaded } = open(watch);
  expect(present.points).toHaveLength(10);
  reloaded.unsubscribe();
});

it('a page that opens after a time without pages shows no samples from before: the chart would bridge the time between', () => {
  const watch = new Watch(closing(new FakeInstanceQueue()), 'orders');
  const { page } = open(watch);
  jest.advanceTimersByTime(5000);
  page.unsubscribe();
  jest.advanceTimersByTime(10_000);
  const { present, page: later } = open(watch);
  expect(present.points).toEqual([]);
  later.unsubscribe();
});

describe('what a page is told', () => {
  const up = { status: 'connected', epoch: 3, endpoint: 'rabbit:5672/' } as const;
  const lost = new ConnectionError('CONNECTION_LOST', 'rabbit:5672/', 'Lost.');
  const healthy: Health = {
    status: 'up',
    connections: { producer: { status: 'disconnected' }, consumer: up },
    consumers: [{ status: 'attached', tag: 't-1', queue: 'amq.gen-1', queueName: '', epoch: 3 }],
    producers: [],
    outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
  };
  const cut: Health = {
    ...healthy,
    status: 'degraded',
    connections: { ...healthy.connections, consumer: { status: 'reconnecting', attempt: 1, delay: 5, cause: lost } },
    consumers: [{ status: 'detached', cause: lost, retryIn: 5, queueName: '' }],
  };
  const view = {
    status: 'up',
    connections: { producer: { status: 'disconnected' }, consumer: { status: 'connected', endpoint: 'rabbit:5672/' } },
    consumers: [{ queue: '', status: 'attached', tag: 't-1', epoch: 3 }],
  };
  const cutView = {
    status: 'degraded',
    connections: { producer: { status: 'disconnected' }, consumer: { status: 'reconnecting' } },
    consumers: [{ queue: '', status: 'detached' }],
  };

  /** A queue whose health and counters are set by hand, and the events of one page. */
  function watched() {
    const health$ = new BehaviorSubject(healthy);
    const { metrics } = closing(new FakeInstanceQueue());
    const counters = { ...metrics };
    const queue = {
      health: healthy,
      health$,
      get metrics() {
        return { ...counters };
      },
    };
    const watch = new Watch(queue, 'orders');
    const events: PageEvent[] = [];
    let completed = false;
    const page = watch.event$.subscribe({ next: (event) => events.push(event), complete: () => (completed = true) });
    return { health$, counters, watch, events, page, completed: () => completed };
  }
  const named = (events: readonly PageEvent[], name: PageEvent[0]): unknown[] =>
    events.flatMap(([one, data]) => (one === name ? [data] : []));

  it('when it opens, is the health as it is, what came before, and the clock of the service', () => {
    const { events, page } = watched();
    expect(events).toMatchObject([
      [
        'present',
        {
          title: 'orders',
          window: 120_000,
          now: Date.now(),
          health: view,
          spans: { producer: [{ name: 'idle' }], consumer: [{ name: 'up', epoch: 3 }] },
          points: [],
          log: [{ message: 'connected' }, { message: 'consumer attached' }],
        },
      ],
    ]);
    page.unsubscribe();
  });

  it('is each change: of the health, without its errors, of the phases, and each new line', () => {
    const { events, page, health$ } = watched();
    health$.next(cut);
    expect(events.slice(1)).toMatchObject([
      ['health', cutView],
      ['spans', { role: 'consumer', spans: [{ name: 'up' }, { name: 'reconnecting', cause: 'Lost.' }] }],
      ['log', { message: 'connection lost: reconnecting', level: 'warn' }],
      ['log', { message: 'consumer detached', facts: 'Lost.' }],
    ]);
    expect(named(events, 'health')).toEqual([cutView]);
    page.unsubscribe();
    health$.next(healthy);
    expect(events).toHaveLength(5);
  });

  it('is what has been counted since it opened: rates, the counters, and a line for each mishap', () => {
    const { events, page, counters, watch } = watched();
    counters.sent += 10;
    counters.undecodable += 2;
    jest.advanceTimersByTime(500);
    expect(named(events, 'sample')).toMatchObject([{ point: { sent: 20 }, metrics: { sent: 10, undecodable: 2 } }]);
    expect(named(events, 'log')).toMatchObject([{ message: 'undecodable message', count: 2 }]);
    const second = open(watch);
    expect(second.present.points).toMatchObject([{ sent: 20 }]);
    jest.advanceTimersByTime(500);
    expect(named(events, 'sample')).toHaveLength(2);
    second.page.unsubscribe();
    page.unsubscribe();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is no more than two minutes of samples', () => {
    const { page, watch } = watched();
    jest.advanceTimersByTime(300_000);
    const { present, page: later } = open(watch);
    expect(present.points).toHaveLength(240);
    later.unsubscribe();
    page.unsubscribe();
  });

  it('ends when the queue is closed; one that opens later gets the last state, and the end', () => {
    const { events, health$, completed, watch } = watched();
    health$.next(cut);
    health$.complete();
    expect([events.at(-1), completed()]).toEqual([['end', null], true]);
    expect(jest.getTimerCount()).toBe(0);
    const late: PageEvent[] = [];
    watch.event$.subscribe((event) => late.push(event));
    expect(late).toMatchObject([
      ['present', { health: cutView }],
      ['end', null],
    ]);
  });
});
