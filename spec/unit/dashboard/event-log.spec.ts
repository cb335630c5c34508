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

type State = Partial<Pick<Health, 'connections' | 'consumers' | 'producers'>>;
const producer = (state: Health['producers'][number]): State => ({ producers: [state] });
const ofConsumer = (state: object): State => ({
  consumers: [{ queueName: 'orders', ...state } as Health['consumers'][number]],
});

it.each<[string, State, string, string]>([
  ['a connection closes', { connections: consumer({ status: 'closing' }) }, 'info', 'connection closing (consumer)'],
  ['a connection is closed', { connections: consumer({ status: 'closed' }) }, 'info', 'connection closed (consumer)'],
  [
    'a connection is lost',
    { connections: consumer(reconnecting(1)) },
    'warn',
    'connection lost: reconnecting (consumer · Lost the connection.)',
  ],
  [
    'a connection came back unseen',
    { connections: consumer({ ...connected, epoch: 2 }) },
    'info',
    'connected (consumer · epoch 2 · rabbit:5672/)',
  ],
  ['a consumer is paused', ofConsumer({ status: 'paused' }), 'info', 'consumer paused (orders)'],
  ['a consumer drains', ofConsumer({ status: 'draining', unsettled: 2 }), 'info', 'consumer draining (orders)'],
  [
    'a consumer is detached',
    ofConsumer({ status: 'detached', cause: lost }),
    'warn',
    'consumer detached (orders · Lost the connection.)',
  ],
  [
    'a consumer gave up',
    ofConsumer({ status: 'stopped', cause: lost }),
    'error',
    'consumer stopped (orders · Lost the connection.)',
  ],
  ['a consumer came back unseen', { consumers: [attached(2)] }, 'info', 'consumer attached (orders · epoch 2 · t-2)'],
  [
    'a consumer has another channel',
    { consumers: [{ ...attached(1), tag: 'other' }] },
    'info',
    'consumer attached (orders · epoch 1 · other)',
  ],
  [
    'a consumer of a queue that the broker names is attached',
    { consumers: [{ ...attached(1), queue: 'amq.gen-1', queueName: '' }] },
    'info',
    'consumer attached (epoch 1 · t-1)',
  ],
  ['a producer has its channel', producer({ status: 'open', epoch: 1 }), 'info', 'producer open (epoch 1)'],
  [
    'a producer has lost its channel',
    producer({ status: 'opening', cause: lost }),
    'warn',
    'producer channel lost: reopening (Lost the connection.)',
  ],
  [
    'a producer gave up',
    producer({ status: 'stopped', cause: lost }),
    'error',
    'producer stopped (Lost the connection.)',
  ],
  ['a producer is closed', producer({ status: 'stopped' }), 'info', 'producer stopped ()'],
])('tells when %s', (_what, state, level, text) => {
  const log = new EventLog();
  log.health(health({}));
  const known = log.lines.length;
  log.health(health(state));
  expect(texts(log).slice(known)).toEqual([text]);
  expect(log.lines.at(-1)?.level).toBe(level);
});

it.each<[string, State]>([
  ['a connection that is not used, or dialled', { connections: consumer({ status: 'connecting', attempt: 1 }) }],
  ['a consumer that attaches for the first time', ofConsumer({ status: 'detached' })],
  ['a producer that opens its first channel', producer({ status: 'opening' })],
  ['what is as it was', {}],
])('tells nothing of %s', (_what, state) => {
  const log = new EventLog();
  log.health(health({}));
  expect(log.health(health(state))).toEqual([]);
});

it('tells what the broker blocks as a warning, and that it is over as news', () => {
  const log = new EventLog();
  log.health(health({}));
  for (const changes of [{ blocked: 'low on memory' }, {}]) log.health(health(changes));
  expect(log.lines.slice(-2).map(({ level }) => level)).toEqual(['warn', 'info']);
});

it.each([
  ['returned', 'warn', 'message returned: no queue took it'],
  ['nacked', 'warn', 'message nacked by the broker'],
  ['timedOut', 'warn', 'message timed out'],
  ['dropped', 'warn', 'message dropped: the outbox is full'],
  ['undecodable', 'warn', 'undecodable message'],
  ['lost', 'warn', 'delivery lost: the broker delivers it again'],
  ['resent', 'info', 'message sent again'],
  ['retried', 'info', 'message waits for its retry'],
] as const)('tells how many more are counted as %s', (counter, level, message) => {
  const log = new EventLog();
  const none = { returned: 0, nacked: 0, timedOut: 0, dropped: 0, undecodable: 0, lost: 0, resent: 0, retried: 0 };
  const at = (count: number): Metrics => ({ ...({} as Metrics), ...none, [counter]: count });
  log.metrics(at(3));
  expect(log.metrics(at(5))).toMatchObject([{ level, message, facts: '', count: 2 }]);
});

it('keeps the last 200 lines', () => {
  const log = new EventLog();
  for (let epoch = 1; epoch <= 300; epoch++) log.health(health({ consumers: [attached(epoch)] }));
  expect(log.lines).toHaveLength(200);
  expect(log.lines.at(-1)?.facts).toContain('epoch 300');
});
