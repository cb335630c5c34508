import type { Topology } from 'instance-queue';
import { compareTopology, type TopologyComparison } from 'instance-queue/tools';
import { rejection } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What `compareTopology` finds, on any broker. */
export function comparingLaws(given: { readonly broker: BrokerUnderTest }): void {
  /** What differs from a topology that is declared; the names are those of the declared one. */
  const differing = async (there: (name: string) => Topology, wanted: (name: string) => Topology) => {
    const queue = given.broker.newClient();
    const name = given.broker.freeQueueName();
    await queue.admin.declare(there(name));
    const compared = await compareTopology(queue, wanted(name));
    const [exchange] = there(name).exchanges ?? [];
    if (exchange) await given.broker.deleteExchange(exchange.name);
    return compared.map(
      ({ kind, name: what, state, details }): Omit<TopologyComparison, 'name'> & { isIt: boolean } => ({
        kind,
        isIt: what === name,
        state,
        details: [...details].sort(),
      }),
    );
  };

  it('what is there as it is declared is the same, also with arguments of every type', async () => {
    const topology = (name: string): Topology => ({
      exchanges: [{ name, type: 'topic', durable: false, autoDelete: true }],
      queues: [
        { name, maxLength: 5, messageTtl: 60_000, overflow: 'reject-publish', arguments: { 'x-max-priority': 3 } },
      ],
    });
    expect(await differing(topology, topology)).toEqual([
      { kind: 'exchange', isIt: true, state: 'same', details: [] },
      { kind: 'queue', isIt: true, state: 'same', details: [] },
    ]);
  });

  it('what is not there is missing, and is not declared', async () => {
    const queue = given.broker.newClient();
    const name = given.broker.freeQueueName();
    const topology = { exchanges: [{ name, type: 'fanout' }], queues: [{ name }] };
    for (const look of [1, 2]) {
      expect([look, ...(await compareTopology(queue, topology))]).toEqual([
        look,
        { kind: 'exchange', name, state: 'missing', details: [] },
        { kind: 'queue', name, state: 'missing', details: [] },
      ]);
    }
  });

  it('each property of a queue that differs is named, with what is declared and what is there', async () => {
    const found = await differing(
      (name) => ({ queues: [{ name, maxLength: 5, messageTtl: 60_000, deadLetter: { queue: 'elsewhere' } }] }),
      (name) => ({ queues: [{ name, autoDelete: true, maxLength: 7, overflow: 'reject-publish' }] }),
    );
    expect(found).toEqual([
      {
        kind: 'queue',
        isIt: true,
        state: 'different',
        details: [
          'auto_delete: true is declared, false is there',
          `x-dead-letter-exchange: nothing is declared, '' is there`,
          'x-dead-letter-routing-key: nothing is declared, elsewhere is there',
          'x-max-length: 7 is declared, 5 is there',
          'x-message-ttl: nothing is declared, 60000 is there',
          'x-overflow: reject-publish is declared, nothing is there',
        ],
      },
    ]);
  });

  it.each([
    ['classic', 'quorum'],
    ['quorum', 'classic'],
    ['stream', 'quorum'],
  ] as const)('the type of a queue is one of them: %s there, %s declared', async (there, wanted) => {
    const found = await differing(
      (name) => ({ queues: [{ name, type: there, maxLengthBytes: 5000 }] }),
      (name) => ({ queues: [{ name, type: wanted }] }),
    );
    expect(found).toEqual([
      {
        kind: 'queue',
        isIt: true,
        state: 'different',
        details: [
          'x-max-length-bytes: nothing is declared, 5000 is there',
          `x-queue-type: ${wanted} is declared, ${there} is there`,
        ],
      },
    ]);
  });

  it('so is each of an exchange', async () => {
    const found = await differing(
      (name) => ({ exchanges: [{ name, type: 'topic', arguments: { 'alternate-exchange': 'amq.fanout' } }] }),
      (name) => ({ exchanges: [{ name, type: 'direct', durable: false, internal: true }] }),
    );
    expect(found).toEqual([
      {
        kind: 'exchange',
        isIt: true,
        state: 'different',
        details: [
          'alternate-exchange: nothing is declared, amq.fanout is there',
          'durable: false is declared, true is there',
          'internal: true is declared, false is there',
          'type: direct is declared, topic is there',
        ],
      },
    ]);
  });

  it('an argument that the broker does not compare is unknown, and what else differs is named', async () => {
    const exchanges = (name: string, note: string) => [{ name, type: 'topic', arguments: { 'x-note': note } }];
    const queues = (name: string, maxLength: number, note?: string) => [
      { name, maxLength, arguments: { 'x-max-priority': 3, ...(note !== undefined && { 'x-note': note }) } },
    ];
    const unknown = { state: 'unknown', details: ['x-note: the broker does not compare it'] };
    const found = (maxLength: number) =>
      differing(
        (name) => ({ exchanges: exchanges(name, 'a'), queues: queues(name, 5) }),
        (name) => ({ exchanges: exchanges(name, 'b'), queues: queues(name, maxLength, 'b') }),
      );
    expect(await found(5)).toMatchObject([unknown, unknown]);
    const details = ['x-max-length: 7 is declared, 5 is there', 'x-note: the broker does not compare it'];
    expect(await found(7)).toMatchObject([unknown, { state: 'different', details }]);
  });

  it('what is passive is looked up alone', async () => {
    const found = await differing(
      (name) => ({ queues: [{ name, maxLength: 5 }] }),
      (name) => ({ queues: [{ name, maxLength: 7, passive: true }] }),
    );
    expect(found).toEqual([{ kind: 'queue', isIt: true, state: 'same', details: [] }]);
  });

  it('bindings are unknown without the management API; what is no topology, or no option, is refused', async () => {
    const queue = given.broker.newClient();
    const binding = { exchange: 'amq.topic', queue: 'orders' };
    const bindings = [binding, { ...binding, routingKey: 'order.*' }, { exchange: 'amq.topic', toExchange: 'events' }];
    const details = ['AMQP does not tell bindings: they are read from the management API'];
    expect(await compareTopology(queue, { bindings })).toEqual(
      ['amq.topic → orders', 'amq.topic → orders (order.*)', 'amq.topic → events'].map((name) => ({
        kind: 'binding',
        name,
        state: 'unknown',
        details,
      })),
    );
    const wrong = [
      compareTopology(queue, { queues: {} } as never),
      compareTopology(queue, {}, { managment: {} } as never),
    ];
    for (const refused of wrong) expect(await rejection(refused)).toMatchObject({ code: 'OPTIONS_INVALID' });
  });
}
