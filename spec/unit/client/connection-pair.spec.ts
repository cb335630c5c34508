import { type Health, type InstanceQueueState, type LogEntry } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { outcomes } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

const connected = async (queue: FakeInstanceQueue): Promise<void> => {
  await Promise.all([queue.connect(), later()]);
};

describe('the two connections of a queue', () => {
  it.each([
    [{}, 'instance-queue'],
    [{ name: 'shop' }, 'shop'],
  ])('have its name and their role, which the log names: %j', async (options, name) => {
    const lines: LogEntry[] = [];
    const queue = closing(new FakeInstanceQueue({ ...options, logger: (line) => lines.push(line) }));
    await connected(queue);
    const names = new Set(lines.map(({ fields }) => fields['connection']));
    expect([...names].sort()).toEqual([`${name}.consumer`, `${name}.producer`]);
  });

  it('open one by one, on first use', async () => {
    const queue = closing(new FakeInstanceQueue());
    expect(queue.state).toEqual({ producer: { status: 'disconnected' }, consumer: { status: 'disconnected' } });
    await Promise.all([queue.send({ queue: 'orders', body: 1 }), later()]);
    expect(queue.state).toMatchObject({ producer: { status: 'connected' }, consumer: { status: 'disconnected' } });
    collect(queue.consume({ queue: 'orders' }));
    await later();
    expect(queue.state).toMatchObject({ producer: { status: 'connected' }, consumer: { status: 'connected' } });
  });

  it('have one state, frozen, which ends when both are closed', async () => {
    const queue = closing(new FakeInstanceQueue());
    const states = collect<InstanceQueueState>(queue.state$);
    await connected(queue);
    const closed = queue.close();
    expect(states.completed).toBe(false);
    await later(100);
    await closed;
    expect(states.completed).toBe(true);
    expect(states.values.at(-1)).toEqual({ producer: { status: 'closed' }, consumer: { status: 'closed' } });
    expect(states.values.at(-1)).toBe(queue.state);
    expect(states.values.every((state) => Object.isFrozen(state))).toBe(true);
    expect(collect(queue.state$)).toMatchObject({ values: [queue.state], completed: true });
  });

  it('do not open again once they are closed', async () => {
    const queue = closing(new FakeInstanceQueue());
    await Promise.all([queue.close(), later(100)]);
    expect(await rejection(queue.connect())).toMatchObject({ code: 'CONNECTION_CLOSED' });
    expect(await outcomes([queue.send({ queue: 'orders', body: 1 })])).toEqual(['PUBLISH_CLOSED']);
  });
});

describe('the time that a close has', () => {
  /** A queue with a delivery that nobody settles, and a message that nobody confirms. */
  async function busy() {
    const queue = closing(new FakeInstanceQueue());
    queue.broker.put({ queue: 'orders', body: 1 });
    collect(queue.consume({ queue: 'orders' }));
    await connected(queue);
    queue.broker.hold();
    const sent = outcomes([queue.send({ queue: 'orders', body: 2 }, { timeout: 100_000 })]);
    await later();
    const began = performance.now();
    const over = { report: undefined as unknown, after: NaN };
    const close = (drainTimeout: number): void =>
      void queue.close({ drainTimeout }).then((report) => {
        over.report = report;
        over.after = performance.now() - began;
      });
    return { queue, sent, over, close };
  }

  it('is for both connections together: what one leaves, the other has', async () => {
    const { queue, sent, over, close } = await busy();
    close(1000);
    await later(500);
    expect(queue.state).toMatchObject({ consumer: { status: 'closing' }, producer: { status: 'connected' } });
    await later(5000);
    expect(over.report).toEqual({ unsettled: 1, unconfirmed: 1 });
    expect(over.after).toBeGreaterThanOrEqual(1000);
    expect(over.after).toBeLessThan(2500);
    expect(await sent).toHaveLength(1);
  });

  it('may be shortened, for the connection that is closing then and for the next', async () => {
    const { over, close } = await busy();
    close(60_000);
    await later(1000);
    close(300);
    await later(3000);
    expect(over.report).toEqual({ unsettled: 1, unconfirmed: 1 });
    expect(over.after).toBeLessThan(3000);
  });

  it('may be shortened while messages are flushed, and is never extended', async () => {
    const queue = closing(new FakeInstanceQueue());
    await Promise.all([queue.send({ queue: 'orders', body: 1 }), later()]);
    queue.broker.hold();
    void outcomes([queue.send({ queue: 'orders', body: 2 }, { timeout: 100_000 })]);
    await later();
    let report: unknown;
    const closed = queue.close({ drainTimeout: 60_000 });
    void closed.then((given) => (report = given));
    await later(1000);
    expect(queue.state).toMatchObject({ consumer: { status: 'closed' }, producer: { status: 'closing' } });
    expect(queue.close({ drainTimeout: 500 })).toBe(closed);
    expect(queue.close({ drainTimeout: 50_000 })).toBe(closed);
    await later(2000);
    expect(report).toEqual({ unsettled: 0, unconfirmed: 1 });
  });

  it('cannot be what is no time', () => {
    const queue = closing(new FakeInstanceQueue());
    expect(() => queue.close({ drainTimeout: -1 })).toThrow('Expected `drainTimeout`');
    expect(queue.state.consumer.status).toBe('disconnected');
  });
});

describe('the health of a queue', () => {
  it('is told when it changes, and not with each message', async () => {
    const queue = closing(new FakeInstanceQueue());
    await connected(queue);
    await Promise.all([queue.send({ queue: 'orders', body: 1 }), later()]);
    const { values } = collect<Health>(queue.health$);
    for (let i = 0; i < 5; i++) await Promise.all([queue.send({ queue: 'orders', body: i }), later()]);
    expect(values).toHaveLength(1);
    expect(values[0]).not.toHaveProperty('blocked');
    queue.broker.block('no memory');
    const held = queue.send({ queue: 'orders', body: 6 });
    await later();
    expect(values).toHaveLength(2);
    expect(values[1]).toMatchObject({ status: 'degraded', blocked: 'no memory' });
    queue.broker.unblock();
    await later();
    await held;
    expect(values).toHaveLength(3);
    expect(values[2]).toMatchObject({ status: 'up' });
    expect(values[2]).not.toHaveProperty('blocked');
    expect(Object.isFrozen(queue.health)).toBe(true);
  });
});
