import { of, Subject } from 'rxjs';
import { ChannelError, ConnectionError, ConsumerError } from '../../../lib/errors';
import { attach, rehearseAttach, type AttachOptions } from '../../../lib/consumer/attach';
import { CancelNotice } from '../../../lib/consumer/cancel-notice';
import type { StreamReader } from '../../../lib/consumer/stream/stream-reader';
import type {
  ConsumeListener,
  ConsumeRequest,
  InboundChannel,
  InboundMessage,
  Link,
} from '../../../lib/transport/transport';
import type { QueueDepth, QueuePresence } from '../../../lib/transport/transport';
import { collect } from '../../support/collect';

/** Everything that waits for nothing but an answer has happened. */
const answered = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const MESSAGE: Partial<InboundMessage> = { deliveryTag: 1 };

/** A link that writes down what it is asked for, and answers as a test says. */
class Asked {
  readonly log: string[] = [];
  readonly requests: ConsumeRequest[] = [];
  readonly #ended$ = new Subject<ChannelError | undefined>();
  presence: QueuePresence = 'there';
  depth: () => Promise<QueueDepth | undefined> = () => Promise.resolve({ messages: 0, consumers: 0 });
  declared: () => Promise<string | undefined> = () => Promise.resolve('named');
  consumed: (listener: ConsumeListener) => Promise<void> = () => Promise.resolve();
  deleted: () => Promise<number> = () => Promise.resolve(0);
  lost: ConnectionError | undefined;
  listener: ConsumeListener | undefined;
  #channels = 0;

  readonly link = {
    openInbound: () => of(this.#channel(`channel ${String(++this.#channels)}`)),
    deleteQueue: (queue: string, conditions: object) => {
      this.log.push(`delete ${queue} ${JSON.stringify(conditions)}`);
      return this.deleted();
    },
  } as Partial<Link> as Link;

  constructor(broker = { product: 'RabbitMQ', version: '4.2.0' }) {
    Object.assign(this.link, { broker });
    Object.defineProperty(this.link, 'lost', { get: () => this.lost });
  }

  /** Ends the channel. */
  end(cause: ChannelError | undefined): void {
    this.#ended$.next(cause);
  }

  #channel(name: string): InboundChannel {
    this.log.push(`open ${name}`);
    const say = (what: string): void => void this.log.push(`${name}: ${what}`);
    return {
      ended$: this.#ended$,
      check: (queue) => {
        say(`check ${queue}`);
        return Promise.resolve(this.presence);
      },
      inspect: (queue) => {
        say(`inspect ${queue}`);
        return this.depth();
      },
      declare: (topology, own) => {
        say(`declare ${JSON.stringify(topology)} ${JSON.stringify(own)}`);
        return this.declared();
      },
      consume: (request, listener) => {
        say(`consume ${request.queue}`);
        this.requests.push(request);
        this.listener = listener;
        return this.consumed(listener);
      },
      close: () => {
        say('close');
        return Promise.resolve();
      },
    } as Partial<InboundChannel> as InboundChannel;
  }
}

const core = { warnOnce: () => undefined };
const OPTIONS: AttachOptions = {
  queueName: 'orders',
  spec: undefined,
  declare: true,
  topology: {},
  prefetch: 7,
  tagPrefix: 'me',
  noAck: false,
  exclusive: false,
  arguments: { 'x-mine': 1 },
};

function attaching(asked: Asked, options: Partial<AttachOptions> = {}, notice = new CancelNotice(undefined)) {
  const told: unknown[] = [];
  let wrong: ChannelError | undefined;
  const onAttached = ({ queue, tag }: { readonly queue: string; readonly tag: string }) => {
    told.push(`attached to ${queue}`, tag);
    return {
      message: (message: InboundMessage) => {
        told.push(message);
        return wrong;
      },
      cancelled: () => void told.push('cancelled'),
    };
  };
  const run = collect(attach(core, asked.link, { ...OPTIONS, ...options }, notice, onAttached));
  return { run, told, refuse: (error: ChannelError) => void (wrong = error) };
}
const stream = (given: Partial<StreamReader>): StreamReader =>
  ({ arguments: () => ({ 'x-stream-offset': 5 }), ...given }) as Partial<StreamReader> as StreamReader;

describe('an attach', () => {
  it('by a name checks that the queue is there, and consumes on the same channel', async () => {
    const asked = new Asked();
    const { told } = attaching(asked, { priority: 3, exclusive: true });
    await answered();
    expect(asked.log).toEqual(['open channel 1', 'channel 1: check orders', 'channel 1: consume orders']);
    const tag: unknown = expect.stringMatching(/^me-[\da-f-]{36}$/);
    expect(asked.requests).toEqual([
      { queue: 'orders', tag, prefetch: 7, noAck: false, exclusive: true, priority: 3, arguments: { 'x-mine': 1 } },
    ]);
    expect(told).toEqual(['attached to orders', asked.requests[0]!.tag]);
  });

  it('by the name of a missing queue declares it, on another channel, since the answer ended the first', async () => {
    const asked = new Asked();
    asked.presence = 'missing';
    attaching(asked);
    await answered();
    expect(asked.log.slice(2)).toEqual([
      'open channel 2',
      'channel 2: declare {} {"name":"orders"}',
      'channel 2: consume named',
    ]);
  });

  it('by the name of a queue that nobody may look at trusts that it is there', async () => {
    const asked = new Asked();
    asked.presence = 'hidden';
    attaching(asked);
    await answered();
    expect(asked.log.slice(2)).toEqual(['open channel 2', 'channel 2: consume orders']);
  });

  it('by a spec asserts it, without a check, and consumes from the name that the broker gave', async () => {
    const asked = new Asked();
    const { told } = attaching(asked, { spec: { name: '', autoDelete: true } });
    await answered();
    expect(asked.log).toEqual([
      'open channel 1',
      'channel 1: declare {} {"name":"","autoDelete":true}',
      'channel 1: consume named',
    ]);
    expect(told[0]).toBe('attached to named');
  });

  it('declares a topology also beside a queue that is there, and consumes from the queue it was asked for', async () => {
    const asked = new Asked();
    asked.declared = () => Promise.resolve(undefined);
    attaching(asked, { topology: { queues: [{ name: 'others' }] } });
    await answered();
    expect(asked.log.slice(1)).toEqual([
      'channel 1: check orders',
      'channel 1: declare {"queues":[{"name":"others"}]} undefined',
      'channel 1: consume orders',
    ]);
  });

  it('with `declare: false` consumes, and nothing else', async () => {
    const asked = new Asked();
    attaching(asked, {
      declare: false,
      spec: { name: 'orders', exclusive: true },
      topology: { queues: [{ name: 'x' }] },
    });
    await answered();
    expect(asked.log).toEqual(['open channel 1', 'channel 1: consume orders']);
  });

  it('with an option that the broker is too old for is refused before anything is opened', async () => {
    const asked = new Asked();
    const { run, told } = attaching(asked, { consumerTimeout: 5 });
    await answered();
    expect(run.error).toBeInstanceOf(ChannelError);
    expect([(run.error as Error).message, asked.log, told]).toEqual([
      expect.stringContaining('`consumerTimeout` needs RabbitMQ 4.3 or later'),
      [],
      [],
    ]);
  });

  it('gets messages that come in the same read as the answer, after it is told of the consumer', async () => {
    const asked = new Asked();
    asked.consumed = ({ message }) => {
      message(MESSAGE as InboundMessage);
      return Promise.resolve();
    };
    const { told, run } = attaching(asked);
    await answered();
    expect(told).toEqual(['attached to orders', expect.any(String), MESSAGE]);
    asked.listener?.message(MESSAGE as InboundMessage);
    expect(told).toHaveLength(4);
    expect(run).toMatchObject({ values: [], error: undefined, completed: false });
  });

  it('ends with the error that its listener makes of a message', async () => {
    const asked = new Asked();
    const { run, refuse } = attaching(asked);
    await answered();
    const wrong = new ChannelError('too many');
    refuse(wrong);
    asked.listener?.message(MESSAGE as InboundMessage);
    expect(run.error).toBe(wrong);
  });

  it.each(['after it was attached', 'in the same read as its answer'])(
    'ends when the broker cancels it, %s',
    async (when) => {
      const asked = new Asked();
      if (when !== 'after it was attached') {
        asked.consumed = ({ cancelled }) => {
          cancelled();
          return Promise.resolve();
        };
      }
      const { told, run } = attaching(asked);
      await answered();
      if (when === 'after it was attached') asked.listener?.cancelled();
      expect(told).toEqual(['attached to orders', expect.any(String), 'cancelled']);
      expect(run.error).toBeInstanceOf(ConsumerError);
      expect(run.error).toMatchObject({ code: 'CONSUMER_CANCELLED', queue: 'orders' });
      expect((run.error as Error).message).toMatch(
        /^The broker cancelled the consumer of queue `orders`: the queue was deleted, its node went down/,
      );
      expect(asked.log).not.toContain('channel 1: close');
    },
  );

  describe('at a broker that refuses the argument for a cancel', () => {
    const refusal = new ChannelError("406 PRECONDITION_FAILED - invalid arg 'x-cancel-on-ha-failover'", {
      replyCode: 406,
    });
    const refusing = (): Asked => {
      const asked = new Asked({ product: 'RabbitMQ', version: '3.10.8' });
      asked.consumed = () => {
        if (asked.requests.length > 1) return Promise.resolve();
        asked.end(refusal);
        return Promise.reject(refusal);
      };
      return asked;
    };

    it('consumes without it, on another channel, and remembers that', async () => {
      const asked = refusing();
      const notice = new CancelNotice(undefined);
      const { run, told } = attaching(asked, {}, notice);
      await answered();
      expect(asked.log.slice(2)).toEqual(['channel 1: consume orders', 'open channel 2', 'channel 2: consume orders']);
      expect(asked.requests.map(({ arguments: args, channelPrefetch }) => [args, channelPrefetch])).toEqual([
        [{ 'x-mine': 1, 'x-cancel-on-ha-failover': true }, undefined],
        [{ 'x-mine': 1 }, 65_535],
      ]);
      expect([run.error, told[0]]).toEqual([undefined, 'attached to orders']);
      asked.listener?.cancelled();
      const next = new Asked({ product: 'RabbitMQ', version: '3.10.8' });
      attaching(next, {}, notice);
      await answered();
      expect(next.requests[0]?.arguments).toHaveProperty('x-cancel-on-ha-failover', true);
    });

    it('ends with the refusal if the user asked for it', async () => {
      const asked = refusing();
      asked.consumed = () => Promise.reject(refusal);
      const { run } = attaching(asked, { arguments: { 'x-cancel-on-ha-failover': true } });
      await answered();
      expect([run.error, asked.log.at(-1)]).toEqual([refusal, 'channel 2: close']);
    });

    it('closes the other channel, and consumes no more, if it is given up meanwhile', async () => {
      const asked = refusing();
      const { run, told } = attaching(asked);
      const consumed = asked.consumed;
      asked.consumed = (listener) => {
        run.subscription.unsubscribe();
        return consumed(listener);
      };
      await answered();
      expect([asked.requests.length, asked.log.at(-1), told]).toEqual([1, 'channel 2: close', []]);
    });
  });

  it('ends with its channel, if that ends with an error', async () => {
    const [ended, closed] = [new Asked(), new Asked()];
    const [first, second] = [attaching(ended), attaching(closed)];
    await answered();
    const cause = new ChannelError('gone');
    ended.end(cause);
    closed.end(undefined);
    expect([first.run.error, second.run.subscription.closed]).toEqual([cause, false]);
  });

  it('that is refused closes its channel', async () => {
    const asked = new Asked();
    const refusal = new ChannelError('refused', { replyCode: 403 });
    asked.consumed = () => Promise.reject(refusal);
    const { run, told } = attaching(asked);
    await answered();
    expect([run.error, told, asked.log.at(-1)]).toEqual([refusal, [], 'channel 1: close']);
  });

  it('whose queue is gone when it consumes has nothing to clean up', async () => {
    const asked = new Asked();
    asked.consumed = () => Promise.reject(new ChannelError('gone', { replyCode: 404 }));
    const { run } = attaching(asked, { spec: { name: 'mine', exclusive: true } });
    await answered();
    expect([run.error, asked.log.at(-1)]).toEqual([expect.any(ChannelError), 'channel 1: consume named']);
  });

  it('whose declaration is refused closes nothing: the refusal did', async () => {
    const asked = new Asked();
    asked.declared = () => Promise.reject(new ChannelError('other arguments', { replyCode: 406 }));
    const { run } = attaching(asked, { spec: { name: 'mine' } });
    await answered();
    expect([run.error, asked.log.length]).toEqual([expect.objectContaining({ replyCode: 406 }), 2]);
  });
});

describe('an attach that is given up half-way', () => {
  it.each<[string, AttachOptions['spec'], string | undefined]>([
    ['a queue of its connection', { name: 'mine', exclusive: true }, 'delete named {"ifUnused":true,"ifEmpty":false}'],
    ['a queue that the broker names', { name: '' }, 'delete named {"ifUnused":true,"ifEmpty":false}'],
    [
      'a queue that goes with its consumer',
      { name: 'mine', autoDelete: true },
      'delete named {"ifUnused":true,"ifEmpty":true}',
    ],
    ['a queue that stays', { name: 'mine' }, undefined],
    ['a queue that others made', { name: 'mine', passive: true, exclusive: true }, undefined],
  ])('before it consumes closes its channel, and leaves %s as it should', async (_what, spec, deleted) => {
    const asked = new Asked();
    let declare: (name: string) => void = () => undefined;
    asked.declared = () => new Promise((resolve) => (declare = resolve));
    asked.deleted = () => Promise.reject(new ChannelError('in use'));
    const { run, told } = attaching(asked, { spec });
    await answered();
    run.subscription.unsubscribe();
    declare('named');
    await answered();
    const { log } = asked;
    expect(log.slice(2)).toEqual(['channel 1: close', ...(deleted === undefined ? [] : [deleted])]);
    expect([told, run.error]).toEqual([[], undefined]);
  });

  it('while it consumes is never attached, and takes no message', async () => {
    const asked = new Asked();
    let consume: () => void = () => undefined;
    asked.consumed = () => new Promise((resolve) => (consume = resolve));
    const { run, told } = attaching(asked, { spec: { name: '' } });
    await answered();
    run.subscription.unsubscribe();
    asked.listener?.message(MESSAGE as InboundMessage);
    consume();
    await answered();
    expect(told).toEqual([]);
    expect(asked.log.slice(-2)).toEqual(['channel 1: close', 'delete named {"ifUnused":true,"ifEmpty":false}']);
  });

  it('deletes nothing over a link that is lost', async () => {
    const asked = new Asked();
    asked.consumed = () => Promise.reject(new ChannelError('cut'));
    asked.lost = new ConnectionError('CONNECTION_LOST', 'host', 'cut');
    attaching(asked, { spec: { name: '' } });
    await answered();
    expect(asked.log.at(-1)).toBe('channel 1: close');
  });

  it('after it was attached leaves its channel and its queue to the consumer, which still gets what comes', async () => {
    const asked = new Asked();
    const { run, told } = attaching(asked, { spec: { name: '' } });
    await answered();
    run.subscription.unsubscribe();
    asked.listener?.message(MESSAGE as InboundMessage);
    await answered();
    expect(told).toEqual(['attached to named', expect.any(String), MESSAGE]);
    expect(asked.log.at(-1)).toBe('channel 1: consume named');
  });
});

describe('an attach to a stream', () => {
  it('asks for where its reader is, beside its own arguments', async () => {
    const asked = new Asked();
    attaching(asked, {
      spec: { name: 'log', type: 'stream' },
      stream: stream({ resumes: false, startsAtLast: false }),
    });
    await answered();
    expect(asked.requests[0]?.arguments).toEqual({ 'x-mine': 1, 'x-stream-offset': 5 });
    expect(asked.log).not.toContain('channel 1: check orders');
  });

  it.each<[QueuePresence, number]>([
    ['there', 0],
    ['hidden', 0],
    ['missing', 1],
  ])('that it resumes looks whether it is still the same one: %s', async (presence, missing) => {
    const asked = new Asked();
    asked.presence = presence;
    const reader = { resumes: true, startsAtLast: false, missing: jest.fn() };
    attaching(asked, { spec: { name: 'log', type: 'stream' }, queueName: 'log', stream: stream(reader) });
    await answered();
    expect(reader.missing).toHaveBeenCalledTimes(missing);
    expect(asked.log).toContain(
      `channel ${presence === 'there' ? '1' : '2'}: declare {} {"name":"log","type":"stream"}`,
    );
  });

  it('by the name of a missing queue declares a stream', async () => {
    const asked = new Asked();
    asked.presence = 'missing';
    attaching(asked, { stream: stream({ resumes: false, startsAtLast: false, missing: () => undefined }) });
    await answered();
    expect(asked.log).toContain('channel 2: declare {} {"name":"orders","type":"stream"}');
  });

  it.each<[string, Asked['depth'], boolean, string]>([
    ['is empty', () => Promise.resolve({ messages: 0, consumers: 0 }), true, 'channel 1'],
    ['holds something', () => Promise.resolve({ messages: 1, consumers: 0 }), false, 'channel 1'],
    ['is gone', () => Promise.resolve(undefined), false, 'channel 2'],
    ['may not be looked at', () => Promise.reject(new ChannelError('no')), false, 'channel 2'],
  ])('at its last message tells the reader whether it %s', async (_what, depth, empty, channel) => {
    const asked = new Asked();
    asked.depth = depth;
    const found = jest.fn();
    attaching(asked, { stream: stream({ resumes: false, startsAtLast: true, found }) });
    await answered();
    expect(found.mock.calls).toEqual([[{ empty }]]);
    expect(asked.log.at(-1)).toBe(`${channel}: consume orders`);
  });
});

it('a rehearsal declares and opens, and leaves nothing behind', async () => {
  const asked = new Asked();
  await rehearseAttach(core, asked.link, { ...OPTIONS, spec: { name: '' } });
  expect(asked.log).toEqual([
    'open channel 1',
    'channel 1: declare {} {"name":""}',
    'channel 1: close',
    'delete named {"ifUnused":true,"ifEmpty":false}',
  ]);
});
