import { phaseOf, type Phase } from '../../../lib/dashboard/phase';
import type { Health, InstanceQueueState } from '../../../lib/health/health';

const cause = new Error('no route');
const health = (more: object, connections: object = {}): Health => ({
  status: 'up',
  connections: {
    producer: { status: 'connected', epoch: 3, endpoint: 'host:5672' },
    consumer: { status: 'connected', epoch: 4, endpoint: 'host:5672' },
    ...connections,
  },
  consumers: [],
  producers: [],
  outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
  ...more,
});

describe('what a connection can do', () => {
  it.each<[string, object, Phase]>([
    ['is not used', { status: 'disconnected' }, { name: 'idle' }],
    ['is dialled', { status: 'connecting', attempt: 2 }, { name: 'connecting', attempt: 2 }],
    [
      'is dialled again',
      { status: 'reconnecting', attempt: 3, cause },
      { name: 'reconnecting', attempt: 3, cause: 'no route' },
    ],
    ['closes', { status: 'closing' }, { name: 'closing' }],
    ['was closed', { status: 'closed' }, { name: 'closed' }],
    ['gave up', { status: 'closed', cause }, { name: 'closed', cause: 'no route' }],
  ])('that %s', (_what, state, phase) => {
    for (const role of ['producer', 'consumer'] as const satisfies readonly (keyof InstanceQueueState)[])
      expect(phaseOf(role, health({}, { [role]: state }))).toEqual(phase);
  });

  it.each<[string, object, Phase]>([
    ['with no producer', {}, { name: 'up', epoch: 3 }],
    ['with one whose channel is open', { producers: [{ status: 'open', epoch: 3 }] }, { name: 'up', epoch: 3 }],
    [
      'with one that opens another channel',
      {
        producers: [
          { status: 'open', epoch: 3 },
          { status: 'opening', cause },
        ],
      },
      { name: 'opening', cause: 'no route', epoch: 3 },
    ],
    ['with one that opens its first', { producers: [{ status: 'opening' }] }, { name: 'opening', epoch: 3 }],
    [
      'that the broker has blocked',
      { blocked: 'low on memory', producers: [{ status: 'opening' }] },
      { name: 'blocked', cause: 'The broker says: low on memory', epoch: 3 },
    ],
  ])('for producing, %s', (_what, more, phase) => {
    expect(phaseOf('producer', health(more))).toEqual(phase);
  });

  it.each<[string, object[], Phase]>([
    ['with no consumer', [], { name: 'up', epoch: 4 }],
    ['with one that is attached', [{ status: 'attached' }], { name: 'up', epoch: 4 }],
    ['with one that attaches', [{ status: 'attached' }, { status: 'detached' }], { name: 'attaching', epoch: 4 }],
    [
      'with one that attaches again',
      [{ status: 'detached', cause }],
      { name: 'attaching', cause: 'no route', epoch: 4 },
    ],
    ['with one that failed with something else', [{ status: 'detached', cause: 'x' }], { name: 'attaching', epoch: 4 }],
    ['with one that is paused', [{ status: 'paused' }], { name: 'paused', epoch: 4 }],
  ])('for consuming, %s', (_what, consumers, phase) => {
    expect(phaseOf('consumer', health({ consumers, blocked: 'low on memory' }))).toEqual(phase);
  });
});
