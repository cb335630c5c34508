import type { Health, Metrics } from 'instance-queue';
import { ConnectionError } from '../../../lib/errors';
import { EventLog } from '../../../lib/dashboard/event-log';

const connected = { status: 'connected', epoch: 1, endpoint: 'rabbit:5672/' } as const;
const lost = new ConnectionError('CONNECTION_LOST', 'rabbit:5672/', 'Lost the connection.');
const reconnecting = (attempt: number) => ({ status: 'reconnecting', attempt, delay: 50, cause: lost }) as const;
const attached = (epoch: number) =>
  ({ status: 'attached', tag: `t-${epoch}`, queue: 'orders', queueName: 'orders', epoch }) as const;

const health = (changes: Partial<Health>): Health => ({
  status: 'up',
  connections: { producer: { status: 'disconnected' }, consumer: connected },
  consumers: [attached(1)],
  producers: [],
  outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
  ...changes,
});
const consumer = (state: Health['connections']['consumer']): Health['connections'] => ({
  producer: { status: 'disconnected' },
  consumer: state,
});
const texts = (log: EventLog): string[] =>
  log.lines.map(({ message, facts, count }) => `${message} (${facts})${count > 1 ? ` ×${count}` : ''}`);

it('an outage is two lines, however many attempts it takes, and the way back two more', () => {
  const log = new EventLog();
  log.health(health({}));
  for (const attempt of [1, 2, 3]) {
    const detached = { status: 'detached', cause: lost, queueName: 'orders' } as const;
    log.health(health({ connections: consumer(reconnecting(attempt)), consumers: [detached] }));
  }
  log.health(health({ connections: consumer({ ...connected, epoch: 2 }), consumers: [attached(2)] }));
  expect(texts(log)).toEqual([
    'connected (consumer · epoch 1 · rabbit:5672/)',
    'consumer attached (orders · epoch 1 · t-1)',
    'connection lost: reconnecting (consumer · Lost the connection.)',
    'consumer detached (orders · Lost the connection.)',
    'connected (consumer · epoch 2 · rabbit:5672/)',
    'consumer attached (orders · epoch 2 · t-2)',
  ]);
});

it('a line that would repeat the last one is counted', () => {
  const log = new EventLog();
  const at = (undecodable: number): Metrics => ({ ...({} as Metrics), undecodable });
  expect(log.metrics(at(5))).toEqual([]);
  const [first] = log.metrics(at(6));
  const [second] = log.metrics(at(9));
  expect(second).toMatchObject({ id: first!.id, count: 4, message: 'undecodable message', level: 'warn' });
  expect(log.metrics(at(9))).toEqual([]);
  expect(texts(log)).toEqual(['undecodable message () ×4']);
});

it('a broker that blocks is told with its reason, and when it is over', () => {
  const log = new EventLog();
  log.health(health({}));
  log.health(health({ blocked: 'low on memory' }));
  log.health(health({}));
  expect(texts(log).slice(2)).toEqual(['blocked by the broker (low on memory)', 'unblocked by the broker ()']);
});

it('two consumers of one queue are two, and a stop without a cause is no error', () => {
  const log = new EventLog();
  log.health(health({ consumers: [attached(1), { ...attached(1), tag: 't-other' }] }));
  log.health(health({ consumers: [attached(1), { status: 'stopped', queueName: 'orders' }] }));
  expect(log.lines.map(({ level, message, facts }) => [level, message, facts]).slice(1)).toEqual([
    ['info', 'consumer attached', 'orders · epoch 1 · t-1'],
    ['info', 'consumer attached', 'orders 2 · epoch 1 · t-other'],
    ['info', 'consumer stopped', 'orders 2'],
  ]);
});

it('keeps the last 200 lines', () => {
  const log = new EventLog();
  for (let epoch = 1; epoch <= 300; epoch++) log.health(health({ consumers: [attached(epoch)] }));
  expect(log.lines).toHaveLength(200);
  expect(log.lines.at(-1)?.facts).toContain('epoch 300');
});
