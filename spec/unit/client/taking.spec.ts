import { ConsumerError, defineQueue, json, type Delivery, type DeleteTarget } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { MemoryLink } from '../../../lib/testing/memory/memory-link';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { numbers } from '../../support/numbers';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

let queue: FakeInstanceQueue;
beforeEach(() => {
  queue = closing(new FakeInstanceQueue());
  queue.broker.declare({ name: 'orders' });
});
const put = (...bodies: readonly unknown[]): void => {
  for (const body of bodies) queue.broker.put({ queue: 'orders', body });
};
const ready = (): readonly unknown[] => queue.broker.messages('orders').map(({ body }) => body);
/** What a promise comes to, in virtual time. */
const soon = async <T>(promise: Promise<T>): Promise<T> => {
  const [value] = await Promise.all([promise, later()]);
  return value;
};
const openChannels = async (): Promise<number> => {
  const link = await soon(queue.admin.link());
  return link instanceof MemoryLink ? link.openChannels.length : NaN;
};

describe('a message that is taken without a consumer', () => {
  it('has a channel of its own until it is settled, and counts like any other delivery', async () => {
    put(1, 2, 3);
    const taken: Delivery<unknown>[] = [];
    while (taken.length < 3) taken.push((await soon(queue.admin.get('orders')))!);
    expect(await openChannels()).toBe(3);
    expect(queue.metrics).toMatchObject({ delivered: 3, inFlight: 3 });
    expect([taken[0]!.ack(), taken[1]!.reject(), taken[2]!.release()]).toEqual([true, true, true]);
    await later();
    expect([await openChannels(), ready()]).toEqual([0, [3]]);
    expect(queue.metrics).toMatchObject({ acked: 1, rejected: 1, released: 1, inFlight: 0, lost: 0 });
  });

  it('leaves no channel behind where there is none, nor where it is refused', async () => {
    expect(await soon(queue.admin.get('orders'))).toBeUndefined();
    expect(await soon(rejection(queue.admin.get('missing')))).toMatchObject({ replyCode: 404 });
    expect(await openChannels()).toBe(0);
  });

  it.each([
    ['with its content type', { contentType: 'application/json' }, 'application/json'],
    ['without one', {}, 'none'],
  ])('that cannot be read is back in its queue, and told %s, its size and its queue', async (_what, format, type) => {
    queue.broker.put({ queue: 'orders', body: Buffer.from('{secret'), ...format });
    const error = await soon(rejection(queue.admin.get('orders', { codec: json() })));
    expect(error).toBeInstanceOf(ConsumerError);
    expect(error).toMatchObject({ code: 'UNDECODABLE', queue: 'orders' });
    expect((error as Error).message).toBe(
      `Cannot decode a message of queue \`orders\` (content type ${type}, 7 bytes).`,
    );
    expect((error as Error).cause).toBeInstanceOf(Error);
    await later();
    expect([queue.broker.messages('orders').length, await openChannels()]).toEqual([1, 0]);
    const closed = queue.close();
    await later(100);
    expect(queue.state.consumer.status).toBe('closed');
    await closed;
  });

  it('is read by its codec, by the contract of its queue, or by its content type', async () => {
    const half = json((value) => Number(value) / 2);
    put(2, 4, 6);
    expect((await soon(queue.admin.get('orders', { codec: half })))?.body).toBe(1);
    expect((await soon(queue.admin.get(defineQueue({ name: 'orders', body: half }))))?.body).toBe(2);
    expect((await soon(queue.admin.get({ name: 'orders' })))?.body).toBe(6);
    const asked = queue.admin.get(defineQueue({ name: 'orders', body: half }), { codec: half });
    expect(await rejection(asked)).toMatchObject({ code: 'OPTIONS_INVALID', option: 'codec' });
  });

  it('is waited for when its queue closes, and no longer than until it is settled', async () => {
    put(1);
    const taken = await soon(queue.admin.get('orders'));
    const closed = queue.close({ drainTimeout: 5000 });
    await later(1000);
    expect(queue.state.consumer.status).toBe('closing');
    taken?.ack();
    await later(100);
    expect(queue.state.consumer.status).toBe('closed');
    expect([await closed, ready()]).toEqual([{ unsettled: 0, unconfirmed: 0 }, []]);
  });

  it('that is lost with its connection is waited for by nobody', async () => {
    put(1);
    const taken = await soon(queue.admin.get('orders'));
    queue.broker.disconnect();
    await later();
    expect([taken?.settled, taken?.ack()]).toEqual(['lost', false]);
    queue.broker.reconnect();
    const closed = queue.close({ drainTimeout: 5000 });
    await later(200);
    expect(queue.state.consumer.status).toBe('closed');
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  });

  it('that is not settled in time is lost, which the report counts', async () => {
    put(1);
    const taken = await soon(queue.admin.get('orders'));
    const closed = queue.close({ drainTimeout: 500 });
    await later(1000);
    expect([await closed, taken?.settled, ready()]).toEqual([{ unsettled: 1, unconfirmed: 0 }, 'lost', [1]]);
  });
});

describe('a look at a queue', () => {
  it('shows 100 messages unless it is asked for more, with their bytes', async () => {
    put(...numbers(105));
    const [some, all] = [queue.admin.browse('orders'), queue.admin.browse('orders', { limit: Infinity })].map(collect);
    await later(500);
    expect(some).toMatchObject({ completed: true, error: undefined });
    expect(some!.values).toHaveLength(100);
    expect(all!.values.length).toBeLessThanOrEqual(105);
    const again = collect(queue.admin.browse({ name: 'orders' }, { limit: Infinity }));
    await later(500);
    expect(again.values).toHaveLength(105);
    expect(again.values[7]).toMatchObject({ body: Buffer.from('7'), queue: 'orders', routingKey: 'orders' });
  });

  it('does not hold up the end of the connection if it is left while the queue is opened', async () => {
    put(1);
    queue.admin.browse('orders').subscribe().unsubscribe();
    await later(2000);
    const closed = jest.fn();
    void queue.close({ drainTimeout: 20_000 }).then(closed);
    await later(2000);
    expect(closed).toHaveBeenCalledWith({ unsettled: 0, unconfirmed: 0 });
    expect(ready()).toEqual([1]);
  });

  it.each<[object, string]>([
    [{ limit: 0 }, 'Expected `limit` to be an integer of at least 1, or Infinity, got `0` (number).'],
    [{ limit: 1.5 }, 'Expected `limit`'],
    [{ limits: 5 }, 'Unknown option `limits` for browse(). Did you mean `limit`?'],
  ])('is refused with what cannot be right: %j', (options, sentence) => {
    expect(() => queue.admin.browse('orders', options)).toThrow(sentence);
  });
});

describe('what is deleted', () => {
  it.each<[object, string]>([
    [{ queue: 5 }, 'Expected `queue` to be'],
    [{ queue: 'x'.repeat(256) }, 'Expected `queue` to be'],
    [{ queue: { name: 'x'.repeat(256) } }, 'Expected `queue` to be a string of at most 255 bytes'],
    [{ exchange: true }, 'Expected `exchange` to be'],
    [{ queue: 'orders', ifEmpty: 'yes' }, 'Expected `ifEmpty` to be true or false'],
    [{ queue: 'orders', ifUnused: 1 }, 'Expected `ifUnused` to be true or false'],
    [{ queue: 'orders', exchange: 'events' }, 'Expected `delete()` to be either `{ queue }` or `{ exchange }`'],
    [{}, 'Expected `delete()` to be either `{ queue }` or `{ exchange }`'],
    [{ queue: 'orders', unused: true }, 'Unknown option `unused` for delete()'],
  ])('is refused where it cannot be right: %j', async (target, sentence) => {
    const error = await rejection(queue.admin.delete(target as DeleteTarget));
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID' });
    expect((error as Error).message).toContain(sentence);
    expect(queue.state.consumer.status).toBe('disconnected');
  });

  it('is a queue that is empty or unused, if that is asked for, or an exchange', async () => {
    put(1);
    const { subscription } = collect(queue.consume({ queue: 'orders', prefetch: 1 }));
    await later();
    const refused = (conditions: object) => soon(rejection(queue.admin.delete({ queue: 'orders', ...conditions })));
    expect(await refused({ ifUnused: true })).toMatchObject({ replyCode: 406 });
    put(2);
    expect(await refused({ ifEmpty: true })).toMatchObject({ replyCode: 406 });
    subscription.unsubscribe();
    expect(await soon(queue.admin.delete({ queue: { name: 'orders' }, ifUnused: false }))).toBeGreaterThan(0);
    queue.broker.declare({ queues: [{ name: 'orders' }], exchanges: [{ name: 'events', type: 'fanout' }] });
    queue.broker.declare({ bindings: [{ exchange: 'events', queue: 'orders' }] });
    const exchange = { name: 'events', type: 'fanout' } as const;
    const inUse = await soon(rejection(queue.admin.delete({ exchange, ifUnused: true })));
    expect(inUse).toMatchObject({ replyCode: 406 });
    expect(await soon(queue.admin.delete({ exchange }))).toBe(0);
    expect(() => queue.broker.put({ exchange: 'events', body: 1 })).toThrow('events');
  });
});

describe('a binding that is removed', () => {
  it.each<[object, string]>([
    [{ queue: 'orders' }, 'Expected `exchange` to be'],
    [{ exchange: 5, queue: 'orders' }, 'Expected `exchange` to be'],
    [{ exchange: 'e', queue: 5 }, 'Expected `queue` to be'],
    [{ exchange: 'e', toExchange: 5 }, 'Expected `toExchange` to be'],
    [{ exchange: 'e', queue: 'q', routingKey: 5 }, 'Expected `routingKey` to be'],
    [{ exchange: 'e', queue: 'q', arguments: 5 }, 'Expected `arguments` to be'],
    [{ exchange: 'e', queue: 'q', key: 'k' }, 'Unknown option `key` for unbind()'],
  ])('is refused where it cannot be right: %j', async (binding, sentence) => {
    const error = await rejection(queue.admin.unbind(binding as never));
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID' });
    expect((error as Error).message).toContain(sentence);
  });
});

describe('who looks after queues', () => {
  it('waits while the connection is down', async () => {
    queue.broker.disconnect();
    let depth: unknown;
    void queue.admin.inspect('orders').then((given) => (depth = given));
    await later(1000);
    expect(depth).toBeUndefined();
    queue.broker.reconnect();
    await later(1000);
    expect(depth).toEqual({ messages: 0, consumers: 0 });
  });

  it('may take from a queue that is known, unless it is a stream', async () => {
    const known = closing(
      new FakeInstanceQueue({ broker: queue.broker, topology: { queues: [{ name: 'orders', type: 'quorum' }] } }),
    );
    queue.broker.deleteQueue('orders');
    queue.broker.declare({ name: 'orders', type: 'quorum' });
    put(1);
    expect((await soon(known.admin.get('orders')))?.body).toBe(1);
    expect(await soon(known.admin.purge({ name: 'orders', type: 'quorum' }))).toBe(0);
  });
});
