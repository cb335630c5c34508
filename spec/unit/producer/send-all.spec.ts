import { tracingChannel } from 'node:diagnostics_channel';
import { json, PublishError, SendAllError, type SendOptions } from 'instance-queue';
import { traceSends } from 'instance-queue/opentelemetry';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { encode, type Encoded } from '../../../lib/producer/encoded-message';
import { PendingSend, type Confirmation } from '../../../lib/producer/pending-send';
import { Batch, eachOf, encodeAll, sizeOf } from '../../../lib/producer/send-all';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

const nothing = (): void => undefined;
const toQueue = (body: unknown, messageId = String(body)) => ({ queue: 'orders', body, messageId });
const encoded = (message: Parameters<typeof encode>[0]): Encoded =>
  encode(message, json(), { persistent: true, mandatory: true });
const entry = (order: number) => new PendingSend(order, encoded(toQueue(order)), nothing, nothing);
const confirmation = (messageId: string): Confirmation => ({ messageId, attempts: 1, epoch: 1 });
const thrownBy = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};
const failed = (code: ConstructorParameters<typeof PublishError>[0], messageId = 'm') =>
  new PublishError(code, messageId, `It failed (${code}).`);

describe('messages that are sent together', () => {
  const begun = (size: number, first = 0) => {
    const resolve = jest.fn((_all: readonly Confirmation[]) => undefined);
    const reject = jest.fn((_error: SendAllError) => undefined);
    return { resolve, reject, batch: new Batch(size, first, resolve, reject) };
  };

  it('resolve at once if there are none', () => {
    const { resolve, reject } = begun(0);
    expect([resolve.mock.calls, reject.mock.calls]).toEqual([[[[]]], []]);
  });

  it('resolve with the last of them, in their own order, wherever their numbers begin', () => {
    const { batch, resolve, reject } = begun(3, 7);
    for (const order of [8, 9]) batch.settle(confirmation(String(order)), entry(order));
    expect(resolve).not.toHaveBeenCalled();
    batch.settle(confirmation('7'), entry(7));
    expect(resolve.mock.calls).toEqual([[['7', '8', '9'].map(confirmation)]]);
    expect(reject).not.toHaveBeenCalled();
  });

  it('reject with the last of them if one has failed, and say what became of each', () => {
    const { batch, resolve, reject } = begun(3);
    const [second, third] = [failed('PUBLISH_TIMEOUT'), failed('PUBLISH_NACKED')];
    batch.settle(third, entry(2));
    batch.settle(confirmation('0'), entry(0));
    expect(reject).not.toHaveBeenCalled();
    batch.settle(second, entry(1));
    const error = reject.mock.calls[0]![0];
    expect(error).toBeInstanceOf(SendAllError);
    expect(error).toMatchObject({
      name: 'SendAllError',
      code: 'PUBLISH_INCOMPLETE',
      message: '2 of 3 messages were not confirmed. The first: It failed (PUBLISH_TIMEOUT).',
      cause: second,
      outcomes: [confirmation('0'), second, third],
      failures: [second, third],
    });
    expect(resolve).not.toHaveBeenCalled();
  });

  it.each([
    ['all of their errors are', ['PUBLISH_TIMEOUT', 'PUBLISH_NACKED'] as const, true],
    ['one of them is not', ['PUBLISH_TIMEOUT', 'PUBLISH_INVALID'] as const, false],
  ])('are retryable if %s', (_, codes, retryable) => {
    expect(new SendAllError(codes.map((code) => failed(code))).retryable).toBe(retryable);
  });
});

describe('the encoding of messages that are sent together', () => {
  const encoder = { encode: encoded } as unknown as Parameters<typeof encodeAll<unknown>>[1];

  it('keeps their order', () => {
    const all = encodeAll([toQueue(1), toQueue(2)], encoder);
    expect(all.map(({ content }) => content.toString())).toEqual(['1', '2']);
  });

  it.each([
    [null, 'null'],
    [undefined, 'undefined'],
    ['abc', 'string'],
    [{ length: 0 }, 'object'],
  ])('refuses %j, which is no list', (given, type) => {
    expect(thrownBy(() => encodeAll(given as never, encoder))).toMatchObject({
      code: 'PUBLISH_INVALID',
      messageId: '',
      message: `sendAll() expects an array of messages, got ${type}.`,
    });
  });

  it('refuses a hole in a sparse array, as it does `undefined`', () => {
    const messages = [toQueue(1), toQueue(2)];
    Reflect.deleteProperty(messages, 0);
    expect(thrownBy(() => encodeAll(messages, encoder))).toMatchObject({
      code: 'PUBLISH_INVALID',
      message: expect.stringMatching(/^Message 1 of 2, .*got undefined\.$/) as string,
    });
  });

  it('says which one is at fault, with its id, and the error of that one as the cause', () => {
    const wrong = { queue: 'orders', body: 1n, messageId: 'wrong' };
    const alone = thrownBy(() => encoded(wrong)) as PublishError;
    expect(thrownBy(() => encodeAll([toQueue(1), wrong, wrong], encoder))).toMatchObject({
      code: 'PUBLISH_INVALID',
      messageId: 'wrong',
      message: `Message 2 of 3, so that none was sent: ${alone.message}`,
      cause: { message: alone.message },
    });
  });

  it('does not dress up an error that is no PublishError', () => {
    const bug = new TypeError('no');
    const failing = {
      encode: () => {
        throw bug;
      },
    } as unknown as typeof encoder;
    expect(() => encodeAll([toQueue(1)], failing)).toThrow(bug);
  });

  it('takes the room of all, and of the largest', () => {
    const all = [1, 'a longer one', 2].map((body) => encoded(toQueue(body)));
    const [first, largest, last] = all.map(({ bytes }) => bytes) as [number, number, number];
    expect(sizeOf(all)).toEqual({ largest, bytes: first + largest + last, count: 3 });
    expect(sizeOf([])).toEqual({ largest: 0, bytes: 0, count: 0 });
  });

  describe('one send for each', () => {
    const each = (messages: readonly object[], send: (message: object) => Promise<Confirmation>) =>
      eachOf(messages as never, send as never);

    it('resolves with their confirmations, in order', async () => {
      const send = (message: object) => Promise.resolve(confirmation((message as { messageId: string }).messageId));
      expect(await each([toQueue(1), toQueue(2)], send)).toEqual([confirmation('1'), confirmation('2')]);
    });

    it('rejects as sendAll() does if some fail, and with anything but a PublishError as it is', async () => {
      const error = failed('PUBLISH_NACKED');
      const outcomes = [Promise.reject(error), Promise.resolve(confirmation('2'))];
      const incomplete = await rejection(each([toQueue(1), toQueue(2)], () => outcomes.shift()!));
      expect(incomplete).toMatchObject({ code: 'PUBLISH_INCOMPLETE', outcomes: [error, confirmation('2')] });
      const bug = new TypeError('no');
      expect(await rejection(each([toQueue(1)], () => Promise.reject(bug)))).toBe(bug);
    });
  });
});

describe('sendAll() of a producer', () => {
  inVirtualTime();
  const producing = () => {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.declare({ name: 'orders' });
    return { queue, producer: queue.producer({ outbox: { limit: 2, overflow: 'reject' } }) };
  };

  it('sends none of more messages than the outbox has room for, and all of no more than that', async () => {
    const { queue, producer } = producing();
    const error = await rejection(producer.sendAll([1, 2, 3].map((body) => toQueue(body))));
    expect(error).toMatchObject({ code: 'OUTBOX_FULL', messageId: '1' });
    expect(queue.broker.published).toEqual([]);
    const sent = producer.sendAll([1, 2].map((body) => toQueue(body)));
    await later();
    expect(await sent).toMatchObject([{ messageId: '1' }, { messageId: '2' }]);
    expect(await producer.sendAll([])).toEqual([]);
  });

  it.each([false, true])(
    'rejects as `send` does with what it knows before anything is sent (traced: %s)',
    async (traced) => {
      const { queue, producer } = producing();
      const stop = traced ? traceSends() : nothing;
      const code = async (body: readonly unknown[], options?: SendOptions): Promise<unknown> => {
        const error = await rejection(
          producer.sendAll(
            body.map((one) => toQueue(one)),
            options,
          ),
        );
        return error instanceof PublishError ? [error.code, error.messageId] : error;
      };
      expect(await code([1, 2, 3])).toEqual(['OUTBOX_FULL', '1']);
      expect(await code([1, 2n])).toEqual(['PUBLISH_INVALID', '2']);
      expect(await code([1, 2], { signal: AbortSignal.abort() })).toEqual(['PUBLISH_ABORTED', '1']);
      await producer.close();
      expect(await code([1, 2])).toEqual(['PUBLISH_CLOSED', '']);
      expect(await code([])).toEqual(['PUBLISH_CLOSED', '']);
      stop();
      expect(queue.broker.published).toEqual([]);
    },
  );

  it('is one trace for each message while sends are traced', async () => {
    const { producer } = producing();
    const seen: unknown[] = [];
    const subscribers = {
      start: ({ messageId }: { messageId: string }) => void seen.push(`start ${messageId}`),
      asyncEnd: ({ messageId }: { messageId: string }) => void seen.push(`end ${messageId}`),
    } as never;
    const channel = tracingChannel('instance-queue:publish');
    channel.subscribe(subscribers);
    const sent = producer.sendAll([toQueue(1), toQueue(2)]);
    await later();
    channel.unsubscribe(subscribers);
    expect(await sent).toMatchObject([{ messageId: '1' }, { messageId: '2' }]);
    expect(seen).toEqual(['start 1', 'start 2', 'end 1', 'end 2']);
  });
});
