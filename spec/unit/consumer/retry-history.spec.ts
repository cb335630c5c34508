import { firstRoute, historyOf } from '../../../lib/consumer/retry-history';

describe('the retry history', () => {
  const own = { 'x-instance-queue-attempts': 2, 'x-instance-queue-queue': 'q' };
  it.each<[string, Readonly<Record<string, unknown>> | undefined, number | undefined]>([
    ['of nothing', undefined, undefined],
    ['of a message that never failed', { mine: 1 }, undefined],
    ['of one that failed here', own, 2],
    ['of one that comes from its wait queue', { ...own, 'x-death': [{ reason: 'expired' }] }, 2],
    ['of one that failed elsewhere', { ...own, 'x-instance-queue-queue': 'other' }, undefined],
    ['of one that was moved', { ...own, 'x-instance-queue-spent': true }, undefined],
    [
      'of one that was rejected since',
      { ...own, 'x-death': [{ reason: 'rejected' }, { reason: 'expired' }] },
      undefined,
    ],
    ['with an impossible count', { ...own, 'x-instance-queue-attempts': -1 }, undefined],
    ['with a count that is none', { ...own, 'x-instance-queue-attempts': 'two' }, undefined],
    ['with a strange x-death', { ...own, 'x-death': 'x' }, 2],
  ])('%s', (_, headers, attempts) => {
    expect(historyOf(headers, 'q')?.attempts).toBe(attempts);
  });

  it('begins with one attempt', () => {
    expect(historyOf({ ...own, 'x-instance-queue-attempts': 1 }, 'q')?.attempts).toBe(1);
    expect(historyOf({ ...own, 'x-instance-queue-attempts': 0 }, 'q')).toBeUndefined();
  });

  it('says when and from where, and nothing where that is not a text', () => {
    const headers = {
      ...own,
      'x-instance-queue-first-failed': '2026-01-01T00:00:00.000Z',
      'x-instance-queue-exchange': 'orders',
      'x-instance-queue-routing-key': 7,
    };
    expect(historyOf(headers, 'q')).toEqual({
      attempts: 2,
      firstFailed: '2026-01-01T00:00:00.000Z',
      exchange: 'orders',
      routingKey: '',
    });
  });

  it('survives an `x-death` of nothing', () => {
    expect(historyOf({ ...own, 'x-death': [null] }, 'q')?.attempts).toBe(2);
  });
});

describe('where a message was first published to', () => {
  const route = { 'x-instance-queue-exchange': 'shop', 'x-instance-queue-routing-key': 'new' };
  const here = { ...route, 'x-instance-queue-queue': 'q' };
  it.each<[string, Readonly<Record<string, unknown>> | undefined, object | undefined]>([
    ['of one without headers', undefined, undefined],
    ['of one that says nothing of it', {}, undefined],
    [
      'of one that `retry` put back',
      { ...here, 'x-instance-queue-attempts': 1 },
      { exchange: 'shop', routingKey: 'new' },
    ],
    [
      'of one that a replay sent back',
      { ...here, 'x-instance-queue-replays': 1 },
      { exchange: 'shop', routingKey: 'new' },
    ],
    ['of one that was replayed to another queue', { ...route, 'x-instance-queue-replays': 1 }, undefined],
    ['of one that was never replayed', here, undefined],
  ])('is known: %s', (_what, headers, expected) => {
    if (expected) expect(firstRoute(headers, 'q')).toMatchObject(expected);
    else expect(firstRoute(headers, 'q')).toBeUndefined();
  });
});
