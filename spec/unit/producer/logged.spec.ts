import type { LogEntry, OutboundMessage, PublishError } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { publishError } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

const toQueue = { queue: 'orders', body: 1, messageId: 'm' };
const lost = { exchange: 'events', routingKey: 'paid', body: 1, messageId: 'm' };

/** A connection with what it has logged. */
function logging() {
  const entries: LogEntry[] = [];
  const queue = closing(new FakeInstanceQueue({ logger: (entry) => void entries.push(entry) }));
  queue.broker.declare({ queues: [{ name: 'orders' }], exchanges: [{ name: 'events', type: 'topic' }] });
  const logged = (text: string): unknown =>
    entries.filter(({ message }) => message === text).map(({ level, fields }) => ({ level, ...fields }));
  return { queue, logged };
}
/** How an error that was logged reads. */
const asLogged = ({ code, message }: PublishError): unknown => expect.objectContaining({ code, message });

describe('what becomes of a message is logged', () => {
  it.each<[string, OutboundMessage]>([
    ['is not sent in time', toQueue],
    ['expires before it can be sent', { ...toQueue, expiration: 40 }],
  ])('when it %s', async (_what, message) => {
    const { queue, logged } = logging();
    queue.broker.disconnect();
    const sent = publishError(queue.producer({ timeout: 50 }).send(message));
    await later(45);
    queue.broker.reconnect();
    if (message === toQueue) queue.broker.disconnect();
    await later(5000);
    const error = await sent;
    expect(error.code).toBe('PUBLISH_TIMEOUT');
    expect(logged('message timed out')).toEqual([
      expect.objectContaining({ level: 'warn', messageId: 'm', err: asLogged(error) }),
    ]);
    expect(queue.metrics.timedOut).toBe(1);
  });

  it('when no queue takes it', async () => {
    const { queue, logged } = logging();
    const sent = publishError(queue.producer().send(lost));
    await later();
    await sent;
    expect(logged('message returned: no queue took it')).toEqual([
      expect.objectContaining({
        level: 'warn',
        messageId: 'm',
        exchange: 'events',
        routingKey: 'paid',
        replyCode: 312,
        replyText: 'NO_ROUTE',
      }),
    ]);
  });

  it('when a queue does not take it, each time', async () => {
    const { queue, logged } = logging();
    queue.broker.nackNext(2);
    const sent = queue.producer().send(toQueue);
    await later(1000);
    await sent;
    const facts = { level: 'debug', messageId: 'm', exchange: '', routingKey: 'orders', epoch: 1 };
    expect(logged('nacked')).toEqual([1, 2].map((nacks) => expect.objectContaining({ ...facts, nacks }) as unknown));
  });

  it('when the topology that it needs is refused', async () => {
    const { queue, logged } = logging();
    const topology = { exchanges: [{ name: 'events', type: 'fanout' }] };
    const sent = publishError(queue.producer({ topology }).send(toQueue));
    await later();
    const { cause } = await sent;
    expect(logged('topology refused')).toEqual([
      expect.objectContaining({ level: 'error', err: asLogged(cause as PublishError) }),
    ]);
  });
});
