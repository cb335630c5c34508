import { liveness, readiness } from 'instance-queue/health';
import type { Health } from 'instance-queue';
import { ChannelError, ConnectionError } from '../../../lib/errors';

const lost = new ConnectionError('CONNECTION_LOST', 'here:5672/', 'The link to here:5672/ was lost.');
const expired = new ConnectionError('CREDENTIALS_FAILED', '', 'No tokens.');
const refused = new ChannelError('No such queue.', { replyCode: 404 });
const up = { status: 'connected', epoch: 1, endpoint: 'here:5672/' } as const;
const unused = { status: 'disconnected' } as const;

const healthy: Health = {
  status: 'up',
  connections: { producer: up, consumer: up },
  consumers: [{ status: 'attached', tag: 't', queue: 'q', epoch: 1, queueName: 'q' }],
  producers: [{ status: 'open', epoch: 1 }],
  outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
};
const asked = (changes: Partial<Health>) => readiness({ health: { ...healthy, ...changes } });

it('is ready with nothing to say when all is up, or rests on purpose', () => {
  expect(asked({})).toEqual({
    statusCode: 200,
    body: { ready: true, status: 'up', reasons: [], outbox: healthy.outbox },
  });
  const consumers = [{ status: 'paused', queueName: 'q' } as const];
  expect(asked({ consumers, connections: { producer: unused, consumer: up } }).body.reasons).toEqual([]);
});

it.each<[string, Partial<Health>, object]>([
  [
    'the connection that is away, with its error',
    { connections: { producer: { status: 'reconnecting', attempt: 2, delay: 10, cause: lost }, consumer: up } },
    { of: 'connection', role: 'producer', status: 'reconnecting', message: lost.message, code: 'CONNECTION_LOST' },
  ],
  [
    'the connection that never was',
    { connections: { producer: unused, consumer: { status: 'connecting', attempt: 1 } } },
    { of: 'connection', role: 'consumer', status: 'connecting' },
  ],
  [
    'until when the connection works whose credentials could not be renewed',
    {
      connections: {
        producer: up,
        consumer: { ...up, expiring: { expiresAt: new Date(0), attempt: 2, delay: 10, cause: expired } },
      },
    },
    {
      of: 'connection',
      role: 'consumer',
      status: 'expiring',
      message: 'The credentials expire at 1970-01-01T00:00:00.000Z and could not be renewed. No tokens.',
      code: 'CREDENTIALS_FAILED',
    },
  ],
  [
    'why publishing is blocked',
    { blocked: 'low on memory' },
    { of: 'connection', status: 'blocked', message: 'low on memory' },
  ],
  [
    'the queue of the consumer that is detached, and when it tries again',
    { consumers: [{ status: 'detached', cause: refused, retryIn: 99.6, queueName: 'orders' }] },
    { of: 'consumer', queue: 'orders', status: 'detached', message: 'No such queue.', replyCode: 404, retryIn: 100 },
  ],
  [
    'the queue of the consumer that gave up',
    { consumers: [{ status: 'stopped', cause: refused, queueName: 'orders' }] },
    { of: 'consumer', queue: 'orders', status: 'stopped', code: 'CHANNEL_CLOSED' },
  ],
  [
    'the producer that cannot confirm',
    { producers: [{ status: 'opening', cause: refused, retryIn: 5 }] },
    { of: 'producer', status: 'opening', replyCode: 404, retryIn: 5 },
  ],
])('says %s', (_what, changes, reason) => {
  const { statusCode, body } = asked({ ...changes, status: 'degraded' });
  expect(statusCode).toBe(503);
  expect(body).toMatchObject({ ready: false, status: 'degraded', reasons: [reason] });
});

it('names a stalled consumer without being less ready for it', () => {
  const since = new Date(Date.now() - 42_000);
  const stalled = { status: 'attached', tag: 't', queue: 'q', epoch: 1, queueName: 'q' } as const;
  const consumers = [{ ...stalled, stalled: { unsettled: 20, prefetch: 20, since } }];
  const { statusCode, body } = asked({ consumers });
  expect(statusCode).toBe(200);
  expect(body.reasons).toMatchObject([{ of: 'consumer', queue: 'q', status: 'stalled' }]);
  expect(JSON.stringify(body)).toContain('20 deliveries are unsettled (prefetch: 20), and none was settled for 42 s');
});

it('gives no reason while it is up, also when a first message opens its channel', () => {
  expect(asked({ producers: [{ status: 'opening' }] }).body).toMatchObject({ ready: true, reasons: [] });
});

it('says that nothing was asked for yet', () => {
  const connections = { producer: unused, consumer: unused };
  expect(asked({ status: 'down', connections, consumers: [], producers: [] })).toMatchObject({
    statusCode: 503,
    body: { reasons: [{ of: 'nothing' }] },
  });
});

it('is ready from `degraded` on if told so, and never while down', () => {
  const from = (status: Health['status']) =>
    readiness({ health: { ...healthy, status } }, { from: 'degraded' }).statusCode;
  expect([from('up'), from('degraded'), from('down')]).toEqual([200, 200, 503]);
});

it('is alive as long as it answers', () => {
  expect(liveness()).toEqual({ statusCode: 200, body: { alive: true } });
});

it('refuses an option that cannot be right', () => {
  // @ts-expect-error -- what JavaScript lets through
  expect(() => readiness({ health: healthy }, { from: 'down' })).toThrow("one of 'up', 'degraded'");
});
