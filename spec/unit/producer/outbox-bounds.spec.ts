import type { InstanceQueue, OutboxOptions } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closeAll, closing } from '../../support/closing';
import { eventually } from '../../support/waiting';

/** Sends three messages to a full queue, waits until each waits for another attempt, and sends one more. */
async function nackedThenOneMore(
  overflow: NonNullable<OutboxOptions['overflow']>,
): Promise<readonly Promise<unknown>[]> {
  const queue: InstanceQueue = closing(
    new FakeInstanceQueue({
      topology: { queues: [{ name: 'full', maxLength: 1, overflow: 'reject-publish' }] },
      drainTimeout: 0,
    }),
  );
  const producer = queue.producer({ timeout: 4000, outbox: { limit: 3, overflow } });
  await producer.send({ queue: 'full', body: 0 });
  const outcomes: Promise<unknown>[] = [];
  const send = (body: number): void => {
    outcomes.push(producer.send({ queue: 'full', body }).catch((error: unknown) => error));
  };
  for (const body of [1, 2, 3]) send(body);
  await eventually(() => queue.metrics.nacked >= 3 && producer.outbox.unconfirmed === 0);
  send(4);
  expect(producer.outbox.queued + producer.outbox.unconfirmed).toBeLessThanOrEqual(4);
  return outcomes;
}

describe('messages that wait for another attempt after a nack', () => {
  afterEach(closeAll);

  it('count towards the limit of an outbox that rejects', async () => {
    const outcomes = await nackedThenOneMore('reject');
    expect(await outcomes[3]).toMatchObject({ code: 'OUTBOX_FULL' });
  });

  it('are dropped first by an outbox that drops the oldest', async () => {
    const outcomes = await nackedThenOneMore('drop-oldest');
    expect(await outcomes[0]).toMatchObject({ code: 'OUTBOX_FULL', maybeDelivered: false });
  });
});
