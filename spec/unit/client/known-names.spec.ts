import { pino } from 'pino';
import { OptionsError, type Topology } from 'instance-queue';
import { KnownNames } from '../../../lib/client/known-names';

const topology: Topology = {
  exchanges: [{ name: 'events', type: 'topic' }],
  queues: [
    { name: 'orders', deadLetter: { queue: 'orders.dead' } },
    { name: 'orders.dead', passive: true },
  ],
  bindings: [{ exchange: 'events', routingKey: 'order.*', queue: 'orders' }],
};

let lines: Record<string, unknown>[];
beforeEach(() => (lines = []));
const log = () =>
  pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) });
const names = (policy: 'open' | 'declared', given: Topology | undefined = topology) =>
  new KnownNames(policy, given, log);

function refusal(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("with names: 'declared'", () => {
  it.each([
    [{ queue: 'order' }, 'Did you mean `orders`?'],
    [{ queue: 'Orders' }, 'Did you mean `orders`?'],
    [{ queue: 'oredrs' }, 'Did you mean `orders`?'],
    [{ queue: 'orders.daed' }, 'Did you mean `orders.dead`?'],
    [{ exchange: 'event' }, 'Did you mean `events`?'],
    [{ queue: 'events' }, "No topology and no spec declares queue `events` (`names: 'declared'`). Declare it"],
    [{ exchange: 'orders' }, "exchange `orders` (`names: 'declared'`). Declare it"],
    [{ queue: 'x'.repeat(255) }, 'Declare it'],
  ])('%j is refused, in options and in a message', (route, sentence) => {
    const known = names('declared');
    expect(refusal(() => known.check(route, 'then'))).toMatchObject({
      code: 'OPTIONS_INVALID',
      option: 'then',
      message: expect.stringContaining(sentence) as string,
    });
    expect(refusal(() => known.checkMessage({ ...route, messageId: 'id-1' }))).toMatchObject({
      code: 'PUBLISH_INVALID',
      messageId: 'id-1',
      maybeDelivered: false,
      message: expect.stringContaining(sentence) as string,
    });
  });

  it.each([
    { queue: 'orders' },
    { queue: 'orders.dead' },
    { exchange: 'events' },
    { exchange: '' },
    { exchange: 'amq.topic' },
    { queue: '' },
    { queue: 'amq.gen-JzTY20BRgKO-HjmUJj0wLg' },
    { queue: 'amq.rabbitmq.reply-to.g1h2' },
  ])('%j is known', (route) => {
    const known = names('declared');
    known.check(route, 'queue');
    known.checkMessage({ ...route, messageId: 'id' });
  });

  it.each<[string, Topology]>([
    ['topology.bindings[0].exchange', { bindings: [{ exchange: 'event', queue: 'orders' }] }],
    ['topology.bindings[0].queue', { bindings: [{ exchange: 'events', queue: 'order' }] }],
    ['topology.bindings[0].toExchange', { bindings: [{ exchange: 'events', toExchange: 'audit' }] }],
    ['topology.queues[0].deadLetter', { queues: [{ name: 'q', deadLetter: { queue: 'order.dead' } }] }],
    ['topology.queues[0].deadLetter', { queues: [{ name: 'q', deadLetter: { exchange: 'event' } }] }],
    ['topology.queues[0].deadLetter', { queues: [{ name: 'q', deadLetter: { exchange: '', routingKey: 'order' } }] }],
    ['topology.queues[0].deadLetter', { queues: [{ name: 'q', arguments: { 'x-dead-letter-exchange': 'event' } }] }],
    [
      'topology.exchanges[0].alternateExchange',
      { exchanges: [{ name: 'e', type: 'fanout', alternateExchange: 'event' }] },
    ],
  ])('what a topology refers to at %s has to be declared', (option, more) => {
    const known = names('declared');
    const error = refusal(() => known.declare(more));
    expect(error).toBeInstanceOf(OptionsError);
    expect(error).toMatchObject({ option });
  });

  it('knows where dead letters go without a routing key: back to their queue', () => {
    const known = names('declared');
    known.declare({ queues: [{ name: 'q', arguments: { 'x-dead-letter-exchange': '' } }] });
    known.check({ queue: 'q' }, 'queue');
  });

  it('knows what was declared later, by a topology or by a spec', () => {
    const known = names('declared');
    known.declare({
      exchanges: [{ name: 'audit', type: 'fanout' }],
      bindings: [{ exchange: 'audit', queue: 'orders' }],
    });
    known.check({ exchange: 'audit' }, 'then');
    known.declareQueue({ name: 'mine', deadLetter: { queue: 'orders.dead' } }, 'queue');
    known.check({ queue: 'mine' }, 'queue');
    expect(refusal(() => known.declareQueue({ name: 'm', deadLetter: { queue: 'mien' } }, 'queue'))).toMatchObject({
      option: 'queue.deadLetter',
      message: expect.stringContaining('Did you mean `mine`?') as string,
    });
  });

  it('forgets no name that is declared, however many there are', () => {
    const known = names('declared');
    for (let i = 0; i < 10_100; i++) known.declareQueue({ name: `session-${i}` }, 'queue');
    known.check({ queue: 'orders' }, 'queue');
    known.check({ queue: 'session-0' }, 'queue');
    known.check({ queue: 'session-10099' }, 'queue');
  });

  it('warns of nothing', () => {
    refusal(() => names('declared').check({ queue: 'order' }, 'queue'));
    expect(lines).toEqual([]);
  });
});

describe("with names: 'open'", () => {
  it.each([
    [{ queue: 'order' }, { queue: 'order', declared: 'orders' }],
    [{ queue: 'Orders' }, { queue: 'Orders', declared: 'orders' }],
    [{ queue: 'oredrs' }, { queue: 'oredrs', declared: 'orders' }],
    [{ queue: 'orders-dead' }, { queue: 'orders-dead', declared: 'orders.dead' }],
    [{ queue: 'order.daed' }, { queue: 'order.daed', declared: 'orders.dead' }],
    [{ exchange: 'event' }, { exchange: 'event', declared: 'events' }],
  ])('%j is warned of, once, and let through', (route, facts) => {
    const known = names('open');
    known.checkMessage({ ...route, messageId: 'id' });
    known.check(route, 'queue');
    expect(lines).toMatchObject([{ level: 40, ...facts }]);
  });

  it.each([
    { queue: 'invoices' },
    { queue: 'offers' },
    { exchange: 'orders' },
    { queue: 'amq.gen-1' },
    { exchange: '' },
  ])('%j is close to nothing', (route) => {
    names('open').checkMessage({ ...route, messageId: 'id' });
    expect(lines).toEqual([]);
  });

  it('remembers 10,000 names that are declared, and warns of nothing beyond them', () => {
    const known = names('open');
    for (let i = 0; i < 10_100; i++) known.declareQueue({ name: `session-${i}x` }, 'queue');
    known.check({ queue: 'session-10099x' }, 'queue');
    known.check({ queue: 'order' }, 'queue');
    expect([known.seen.queue.size, lines]).toEqual([10_000, []]);
  });

  it('siblings that differ in digits are no slips', () => {
    const known = names('open', { queues: [{ name: 'partition-1' }, { name: 'q1' }] });
    for (const queue of ['partition-2', 'partition-11', 'q2', 'q']) known.check({ queue }, 'queue');
    expect(lines).toEqual([]);
  });

  it('a topology is warned of, too', () => {
    names('open', { ...topology, bindings: [{ exchange: 'events', queue: 'order' }] });
    expect(lines).toMatchObject([{ queue: 'order', declared: 'orders' }]);
  });

  it('where nothing is declared there is nothing to compare with', () => {
    names('open', undefined).check({ queue: 'orders' }, 'queue');
    expect(lines).toEqual([]);
  });

  it('looks at five hundred unknown names at most: those made at run time take neither memory nor time', () => {
    const known = names('open');
    for (let i = 0; i < 499; i++) known.checkMessage({ queue: `reply.${String(i)}`, messageId: '' });
    known.check({ queue: 'order' }, 'queue');
    known.check({ queue: 'oders' }, 'queue');
    known.check({ exchange: 'event' }, 'then');
    expect(lines).toMatchObject([{ queue: 'order' }, { exchange: 'event' }]);
  });
});
