import { ChannelError, ConnectionError, type Topology } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { compareTopology } from 'instance-queue/tools';
import { createServer } from 'node:http';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';
import { rejection } from '../../support/waiting';

afterEach(closeAll);

const inequivalent = (property: string, received: string, current: string, kind = 'queue'): ChannelError =>
  new ChannelError(
    `PRECONDITION_FAILED - inequivalent arg '${property}' for ${kind} 'orders' in vhost '/': received ${received} but current is ${current}`,
    { replyCode: 406 },
  );

/** A queue with `orders` and `events`, whose broker answers declarations as told, the last answer again and again. */
async function answering(...answers: (Error | undefined)[]) {
  const queue = closing(new FakeInstanceQueue());
  await queue.admin.declare({ exchanges: [{ name: 'events', type: 'topic' }], queues: [{ name: 'orders' }] });
  const { declare } = queue.admin;
  const asked: Topology[] = [];
  jest.spyOn(queue.admin, 'declare').mockImplementation((topology, ...rest) => {
    if (topology.exchanges?.some(({ passive }) => passive)) return declare.call(queue.admin, topology, ...rest);
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(topology);
    return answer ? Promise.reject(answer) : Promise.resolve();
  });
  return { queue, asked };
}
const compare = async (queue: FakeInstanceQueue, topology: Topology) => {
  const [compared] = await compareTopology(queue, topology);
  return compared;
};

describe('a comparison', () => {
  it.each<[string, string, string, string, unknown]>([
    ['x-single-active-consumer', 'none', "the value 'true' of type 'bool'", 'nothing is declared, true is there', true],
    [
      'x-single-active-consumer',
      'none',
      "the value 'false' of type 'bool'",
      'nothing is declared, false is there',
      false,
    ],
    ['x-queue-mode', 'none', "the value 'lazy' of type 'longstr'", 'nothing is declared, lazy is there', 'lazy'],
    [
      'x-max-length',
      "the value '5' of type 'signedint'",
      "the value '7' of type 'long'",
      '5 is declared, 7 is there',
      7,
    ],
    ['x-max-length', "the value '5' of type 'signedint'", 'none', '5 is declared, nothing is there', undefined],
    [
      'x-dead-letter-routing-key',
      'none',
      "the value 'it's' of type 'longstr'",
      "nothing is declared, it's is there",
      "it's",
    ],
    [
      'x-dead-letter-routing-key',
      "the value 'a' of type 'longstr'",
      "the value '' of type 'longstr'",
      "a is declared, '' is there",
      '',
    ],
    ['durable', "'false'", "'true'", 'false is declared, true is there', true],
    ['auto_delete', "'true'", "'false'", 'true is declared, false is there', false],
  ])(
    'names what differs in `%s`, and asks on with what is there: %s, %s',
    async (property, received, current, words, there) => {
      const { queue, asked } = await answering(inequivalent(property, received, current), undefined);
      const spec = {
        name: 'orders',
        autoDelete: true,
        arguments: { 'x-max-length': 5, 'x-dead-letter-routing-key': 'a' },
      };
      expect(await compare(queue, { queues: [spec] })).toEqual({
        kind: 'queue',
        name: 'orders',
        state: 'different',
        details: [`${property}: ${words}`],
      });
      expect(asked).toHaveLength(2);
      const [first, second] = asked.map(({ queues: [one] = [] }) => ({
        durable: one?.durable,
        auto_delete: one?.autoDelete,
        ...one?.arguments,
      }));
      expect(first).toEqual({ durable: true, auto_delete: true, 'x-max-length': 5, 'x-dead-letter-routing-key': 'a' });
      const changed = { ...first, [property]: there };
      expect(second).toEqual(Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined)));
    },
  );

  it('asks on in the same way about an exchange', async () => {
    const { queue, asked } = await answering(
      inequivalent('type', "'direct'", "'x-delayed-message'", 'exchange'),
      inequivalent('internal', "'false'", "'true'", 'exchange'),
      inequivalent('alternate-exchange', 'none', "the value 'dead' of type 'longstr'", 'exchange'),
      undefined,
    );
    const compared = await compare(queue, { exchanges: [{ name: 'events', type: 'direct', autoDelete: true }] });
    expect(compared).toEqual({
      kind: 'exchange',
      name: 'events',
      state: 'different',
      details: [
        'type: direct is declared, x-delayed-message is there',
        'internal: false is declared, true is there',
        'alternate-exchange: nothing is declared, dead is there',
      ],
    });
    const there = { name: 'events', durable: true, autoDelete: true, type: 'x-delayed-message', internal: true };
    expect(asked.at(-1)).toEqual({ exchanges: [{ ...there, arguments: { 'alternate-exchange': 'dead' } }] });
  });

  it.each([
    ['unknown', [], ['no permission']],
    [
      'different',
      [inequivalent('durable', "'true'", "'false'")],
      ['durable: true is declared, false is there', 'no permission'],
    ],
  ])('is %s where the broker does not say the rest', async (state, answers, details) => {
    const { queue } = await answering(...answers, new ChannelError('no permission', { replyCode: 403 }));
    expect(await compare(queue, { queues: [{ name: 'orders' }] })).toMatchObject({ state, details });
  });

  it('asks not for ever where the broker objects to what it said itself', async () => {
    const { queue, asked } = await answering(inequivalent('x-odd', 'none', "the value '1' of type 'longstr'"));
    const details = [
      'x-odd: nothing is declared, 1 is there',
      'what else differs is unknown: the broker refuses what it says is there',
    ];
    expect(await compare(queue, { queues: [{ name: 'orders' }] })).toMatchObject({ state: 'different', details });
    expect(asked.length).toBeLessThan(100);
  });

  it('declares nothing that is passive, and nothing that is not there', async () => {
    const { queue, asked } = await answering(undefined);
    const compared = await compareTopology(queue, {
      exchanges: [
        { name: 'events', type: 'fanout', passive: true },
        { name: 'none', type: 'topic' },
      ],
      queues: [{ name: 'orders', passive: true }, { name: 'none' }],
    });
    expect(compared.map(({ kind, name, state }) => [kind, name, state])).toEqual([
      ['exchange', 'events', 'same'],
      ['exchange', 'none', 'missing'],
      ['queue', 'orders', 'same'],
      ['queue', 'none', 'missing'],
    ]);
    expect(asked).toEqual([]);
  });

  it.each<[string, Topology]>([
    ['a queue', { queues: [{ name: 'orders' }] }],
    ['an exchange', { exchanges: [{ name: 'events', type: 'topic' }] }],
  ])('is none without a connection: of %s', async (_, topology) => {
    const lost = new ConnectionError('CONNECTION_LOST', 'here', 'The link is gone.');
    const { queue } = await answering(lost);
    expect(await rejection(compareTopology(queue, topology))).toBe(lost);
  });

  it('has no unknown options', async () => {
    const { queue } = await answering();
    const wrong = compareTopology(queue, {}, { managment: { url: 'http://localhost' } } as never);
    expect(String(await rejection(wrong))).toContain('Unknown option `managment` for compareTopology()');
  });
});

describe('a comparison of bindings', () => {
  const row = (source: string, destination: string, routingKey = '', more: object = {}): object => ({
    source,
    destination,
    destination_type: 'queue',
    routing_key: routingKey,
    arguments: {},
    ...more,
  });
  /** The state of each binding, where the management API lists these. */
  async function compared(topology: Topology, listed: Readonly<Record<string, unknown>>) {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const [, source = ''] = /exchanges\/[^/]+\/([^/]+)\/bindings\/source$/.exec(request.url ?? '') ?? [];
      asked.push(decodeURIComponent(source));
      const answer = listed[decodeURIComponent(source)];
      if (answer === undefined) response.writeHead(500).end();
      else response.end(JSON.stringify(answer));
    });
    const url = await listening(server);
    const queue = closing(new FakeInstanceQueue());
    const all = await compareTopology(queue, topology, { management: { url } });
    const states = all.filter(({ kind }) => kind === 'binding').map(({ name, state }) => `${name}: ${state}`);
    return { states, asked, all };
  }
  const [exchange, queues] = ['events', [{ name: 'orders' }]];

  it.each<[string, Topology, Record<string, unknown>, string[]]>([
    [
      'by its key',
      { bindings: ['a', 'b'].map((routingKey) => ({ exchange, queue: 'orders', routingKey })) },
      { events: [row('events', 'orders', 'a')] },
      ['events → orders (a): same', 'events → orders (b): missing'],
    ],
    [
      'by its arguments, in whatever order',
      {
        bindings: [
          { exchange, queue: 'orders', arguments: { 'x-match': 'all', tenant: 't' } },
          { exchange, queue: 'orders', arguments: { 'x-match': 'any', tenant: 't' } },
        ],
      },
      { events: [row('events', 'orders', '', { arguments: { tenant: 't', 'x-match': 'all' } })] },
      ['events → orders: same', 'events → orders: missing'],
    ],
    [
      'by the kind of its destination',
      {
        bindings: [
          { exchange, toExchange: 'orders' },
          { exchange, toExchange: 'others' },
        ],
      },
      { events: [row('events', 'orders'), row('events', 'others', '', { destination_type: 'exchange' })] },
      ['events → orders: missing', 'events → others: same'],
    ],
    [
      'as extra, if both its ends are declared',
      { exchanges: [{ name: 'events', type: 'topic' }], queues },
      { events: [row('events', 'orders', 'a'), row('events', 'others', 'a')] },
      ['events → orders (a): extra'],
    ],
    [
      'as nothing of ours, if it leads to an exchange with the name of a queue',
      { exchanges: [{ name: 'events', type: 'topic' }], queues },
      { events: [row('events', 'orders', 'a', { destination_type: 'exchange' })] },
      [],
    ],
    [
      'as unknown, where that cannot be read',
      {
        bindings: [
          { exchange, queue: 'orders' },
          { exchange: 'more', queue: 'orders' },
        ],
      },
      { more: [row('more', 'orders')] },
      ['events → orders: unknown', 'more → orders: same'],
    ],
    [
      'as missing, where what is listed is none',
      {
        bindings: [
          { exchange, queue: 'orders' },
          { exchange: 'more', queue: 'orders' },
        ],
      },
      { events: [null, 'row', row('events', 'orders', '', { arguments: null })], more: {} },
      ['events → orders: same', 'more → orders: missing'],
    ],
    ['as nothing, where nothing is declared', {}, {}, []],
  ])('knows each %s', async (_, topology, listed, states) => {
    expect((await compared(topology, listed)).states).toEqual(states);
  });

  it('asks once for each exchange, and says why it does not know', async () => {
    const bindings = ['a', 'b'].map((routingKey) => ({ exchange, queue: 'orders', routingKey }));
    const { asked, all } = await compared({ exchanges: [{ name: 'events', type: 'topic' }], bindings }, {});
    expect(asked).toEqual(['events']);
    expect(all.at(-1)?.details).toEqual([expect.stringMatching(/^Refused by the management API at .*: 500 /)]);
  });
});
