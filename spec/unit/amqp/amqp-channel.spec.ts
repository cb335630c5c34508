import { ChannelError, ConnectionError } from 'instance-queue';
import { EventEmitter } from 'node:events';
import { of, type Observable } from 'rxjs';
import { AmqpChannel, declareTopology, openingChannel, type ChannelHost } from '../../../lib/amqp/amqp-channel';
import type { BindingSpec, QueueSpec, Topology } from '../../../lib/topology';
import { collect } from '../../support/collect';
import { marbles } from '../../support/marbles';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

// amqplib may send channel.open in front of the close-ok of the last channel of that number. The broker discards such a one.
const unanswered = (): Promise<AmqpChannel> => new Promise(() => undefined);
const host = (blocked$: Observable<string | undefined>) => ({ lost: undefined, blocked$ });
const GIVEN_UP = new ChannelError('Cannot open a channel: the broker did not answer within 30000 ms.');

test(
  'a channel whose opening the broker never answers is given up',
  marbles(({ expectObservable }) => {
    const opening$ = openingChannel(host(of(undefined)), unanswered);
    expectObservable(opening$).toBe('30s #', {}, GIVEN_UP);
  }),
);

test(
  'while the broker blocks the connection it may take as long as it likes to answer',
  marbles(({ cold, expectObservable }) => {
    const blocked$ = cold('n 5s b 60s n', { n: undefined, b: 'low on memory' });
    const opening$ = openingChannel(host(blocked$), unanswered);
    expectObservable(opening$).toBe('95002ms #', {}, GIVEN_UP);
  }),
);

/** A channel of amqplib that does as a test says, and notes what is asked of it. */
class FakeChannel extends EventEmitter {
  readonly asked: unknown[][] = [];
  /** What each method answers, or throws. */
  answer: (method: string, ...args: readonly unknown[]) => unknown = () => ({});

  constructor() {
    super();
    for (const method of [
      'checkQueue',
      'assertQueue',
      'checkExchange',
      'assertExchange',
      'bindQueue',
      'bindExchange',
    ]) {
      Object.assign(this, { [method]: (...args: unknown[]) => this.#ask(method, ...args) });
    }
  }
  close(): Promise<unknown> {
    return this.#ask('close');
  }
  async #ask(method: string, ...args: unknown[]): Promise<unknown> {
    this.asked.push([method, ...args]);
    return Promise.resolve(this.answer(method, ...args));
  }
}
/** As amqplib says it. */
const refusal = (code: number, words: string): Error =>
  Object.assign(new Error(`Operation failed: QueueDeclare; ${String(code)} (X) with message "${words}"`), { code });
const throwing = (error: unknown) => (): never => {
  throw error as Error;
};

function given(lost?: ConnectionError, broker?: ChannelHost['broker']) {
  const fake = new FakeChannel();
  const on = { lost, broker, blocked$: of(undefined) } as { -readonly [K in keyof ChannelHost]: ChannelHost[K] };
  return { fake, on, channel: new AmqpChannel(on, fake as never) };
}

describe('what is asked on a channel', () => {
  it.each([
    [404, 'missing'],
    [403, 'hidden'],
  ])('is an answer, when the check of a queue is refused with %d', async (code, presence) => {
    const { fake, channel } = given();
    fake.answer = throwing(refusal(code, 'NO'));
    expect(await channel.check('q')).toBe(presence);
    expect(fake.asked).toEqual([['checkQueue', 'q']]);
  });

  it('rejects in other words, when it is refused for another reason', async () => {
    const { fake, channel } = given();
    fake.answer = throwing(refusal(405, 'RESOURCE_LOCKED - no'));
    expect(await rejection(channel.check('q'))).toMatchObject({
      replyCode: 405,
      message: 'Cannot check queue `q`: 405 RESOURCE_LOCKED - no',
    });
    expect(await rejection(channel.inspect('q'))).toMatchObject({
      replyCode: 405,
      message: 'Cannot inspect queue `q`: 405 RESOURCE_LOCKED - no',
    });
    expect(await rejection(channel.declare({}, { name: 'q' }))).toMatchObject({
      message: 'Cannot declare queue `q`: 405 RESOURCE_LOCKED - no',
    });
    expect(await rejection(channel.declare({ queues: [{ name: 'q' }] }))).toMatchObject({
      message: 'Cannot declare the topology: 405 RESOURCE_LOCKED - no',
    });
  });

  it('is the depth of a queue, or that there is none', async () => {
    const { fake, channel } = given();
    fake.answer = () => ({ queue: 'q', messageCount: 3, consumerCount: 2 });
    expect(await channel.inspect('q')).toEqual({ messages: 3, consumers: 2 });
    fake.answer = throwing(refusal(404, 'NO'));
    expect(await channel.inspect('q')).toBeUndefined();
    fake.answer = throwing(refusal(403, 'NO'));
    await expect(channel.inspect('q')).rejects.toBeInstanceOf(ChannelError);
  });

  it('is refused with the reason of the connection, if the broker gave one when it closed that', async () => {
    const closed = new ConnectionError('CONNECTION_LOST', 'host', 'closed', { replyCode: 541 });
    const { fake, channel } = given(closed);
    fake.answer = throwing(new Error('Channel ended'));
    expect(await rejection(channel.check('q'))).toMatchObject({ replyCode: 541, cause: closed });
    const silent = given(new ConnectionError('CONNECTION_LOST', 'host', 'closed'));
    silent.fake.answer = throwing(new Error('Channel ended'));
    expect(await rejection(silent.channel.check('q'))).toMatchObject({
      message: 'Cannot check queue `q`: Channel ended',
    });
  });

  it('is refused, and the channel closed, if the broker is too old for it', async () => {
    const { fake, channel } = given(undefined, { product: 'RabbitMQ', version: '3.11.0' });
    const refused = await rejection(channel.declare({}, { name: 'q', consumerTimeout: 5 }));
    expect(refused).toMatchObject({ message: expect.stringContaining('needs RabbitMQ 3.12') as string });
    expect(fake.asked).toEqual([['close']]);
  });
});

describe('the end of a channel', () => {
  inVirtualTime();

  it.each<[string, (fake: FakeChannel, on: { lost?: unknown }) => void, object | undefined]>([
    [
      'by the broker, of which the first reason counts',
      (fake) => {
        fake.emit('error', refusal(406, 'PRECONDITION_FAILED - first'));
        fake.emit('error', refusal(541, 'second'));
        fake.emit('close');
      },
      { replyCode: 406, message: 'The broker closed the channel: 406 PRECONDITION_FAILED - first' },
    ],
    [
      'with its connection',
      (fake, on) => {
        on.lost = new ConnectionError('CONNECTION_LOST', 'host', 'Lost it.');
        fake.emit('close');
      },
      { message: 'The channel ended with its connection: Lost it.' },
    ],
    [
      'with its connection, before that says why',
      (fake) => fake.emit('close'),
      { message: 'The channel ended with its connection.' },
    ],
  ])('is told with its reason: %s', (_how, end, reason) => {
    const { fake, on, channel } = given();
    const ended = collect(channel.ended$);
    expect(channel.ended).toBe(false);
    end(fake, on);
    expect(channel.ended).toBe(true);
    expect(ended).toMatchObject({ values: [reason], completed: true });
  });

  it('by its own close is no error, and is asked for once', async () => {
    const { fake, channel } = given();
    const ended = collect(channel.ended$);
    const closing = Promise.all([channel.close(), channel.close()]);
    await later();
    fake.emit('close');
    await closing;
    await channel.close();
    expect(ended).toMatchObject({ values: [undefined], completed: true });
    expect(fake.asked).toEqual([['close']]);
  });

  it('is waited for 5 s, and not on a connection that is lost', async () => {
    const { channel } = given();
    let closed = false;
    void channel.close().then(() => (closed = true));
    await later(4999);
    expect(closed).toBe(false);
    await later(1);
    expect(closed).toBe(true);
    const lost = given(new ConnectionError('CONNECTION_LOST', 'host', 'Lost it.'));
    await lost.channel.close();
    expect(lost.fake.asked).toEqual([]);
  });

  it('is that of whoever opened it', async () => {
    const opened = async (end: (fake: FakeChannel, channel: AmqpChannel) => void) => {
      const { fake, on, channel } = given();
      const opening = collect(openingChannel(on, () => Promise.resolve(channel)));
      await later();
      expect(opening.values).toEqual([channel]);
      end(fake, channel);
      await later();
      return opening;
    };
    const failed = await opened((fake) => fake.emit('close'));
    expect(failed).toMatchObject({ error: { code: 'CHANNEL_CLOSED' }, completed: false });
    const closed = await opened((fake, channel) => {
      void channel.close();
      fake.emit('close');
    });
    expect(closed).toMatchObject({ error: undefined, completed: true });
    expect(jest.getTimerCount()).toBe(0);
  });

  it('comes at once for one that is open when nobody waits for it any more', async () => {
    const { fake, on, channel } = given();
    const opening = collect(openingChannel(on, () => Promise.resolve(channel)));
    opening.subscription.unsubscribe();
    await later();
    expect(opening.values).toEqual([]);
    expect(fake.asked).toEqual([['close']]);
  });

  it('is an error of its opening, if it cannot be opened', async () => {
    const { on } = given(new ConnectionError('CONNECTION_LOST', 'host', 'closed', { replyCode: 541 }));
    const opening = collect(openingChannel(on, () => Promise.reject(new Error('Connection closing'))));
    await later();
    expect(opening.error).toMatchObject({
      replyCode: 541,
      message: expect.stringMatching(/^Cannot open a channel: 541/) as string,
    });
  });
});

describe('a topology is declared', () => {
  const declared = async (topology: Topology, own?: QueueSpec, version?: string) => {
    const fake = new FakeChannel();
    fake.answer = (method, name) => (method.endsWith('Queue') ? { queue: name === '' ? 'amq.gen-1' : name } : {});
    const broker = version === undefined ? undefined : { product: 'RabbitMQ', version };
    const name = await declareTopology(fake as never, topology, own, broker);
    return { name, asked: fake.asked };
  };
  const bound = (...bindings: BindingSpec[]): Topology => ({ bindings });

  it('in order: exchanges, queues, the own queue, bindings', async () => {
    const { name, asked } = await declared(
      {
        exchanges: [
          { name: 'x', type: 'topic' },
          { name: 'y', type: 'fanout', passive: true },
        ],
        queues: [{ name: 'a' }, { name: 'b', passive: true }],
        bindings: [
          { exchange: 'x', queue: 'a', routingKey: 'k', arguments: { n: 1 } },
          { exchange: 'x', toExchange: 'y' },
        ],
      },
      { name: 'own' },
    );
    expect(name).toBe('own');
    expect(asked.map(([method, first]) => [method, first])).toEqual([
      ['assertExchange', 'x'],
      ['checkExchange', 'y'],
      ['assertQueue', 'a'],
      ['checkQueue', 'b'],
      ['assertQueue', 'own'],
      ['bindQueue', 'a'],
      ['bindExchange', 'y'],
    ]);
    expect(asked.slice(-2)).toEqual([
      ['bindQueue', 'a', 'x', 'k', { n: 1 }],
      ['bindExchange', 'y', 'x', '', {}],
    ]);
  });

  it('with the own queue once and last, also if the topology has it', async () => {
    const own = { name: 'own' };
    const { asked } = await declared({ queues: [own, { name: 'a' }] }, own);
    expect(asked.map(([, name]) => name)).toEqual(['a', 'own']);
  });

  it('with bindings of the queue that the broker has named', async () => {
    const { name, asked } = await declared(bound({ exchange: 'x', queue: '' }, { exchange: 'x', queue: 'a' }), {
      name: '',
    });
    expect(name).toBe('amq.gen-1');
    expect(asked.slice(-2).map(([, queue]) => queue)).toEqual(['amq.gen-1', 'a']);
  });

  it('without the queue that the broker names, and its bindings, unless that is the own one', async () => {
    const topology = { queues: [{ name: 'a' }, { name: '' }], bindings: [{ exchange: 'x', queue: '' }] };
    expect((await declared(topology)).asked.map(([method, name]) => [method, name])).toEqual([['assertQueue', 'a']]);
    const { asked } = await declared(topology, { name: 'own' });
    expect(asked.map(([, name]) => name)).toEqual(['a', 'own']);
  });

  it.each<[string | undefined, number | undefined, number | undefined]>([
    ['4.0.0', -1, -1],
    ['3.13.0', -1, undefined],
    ['3.13.0', 0, 0],
    ['3.13.0', 5, 5],
    ['3.13.0', undefined, undefined],
    [undefined, -1, -1],
  ])('with no limit of deliveries as the broker knows it: %s, %p', async (version, deliveryLimit, expected) => {
    const spec = { name: 'q', type: 'quorum', ...(deliveryLimit !== undefined && { deliveryLimit }) } as const;
    const { asked } = await declared({}, spec, version);
    const { arguments: args } = asked[0]?.[2] as { arguments: Record<string, unknown> };
    expect(args['x-delivery-limit']).toBe(expected);
    expect(args['x-queue-type']).toBe('quorum');
  });
});
