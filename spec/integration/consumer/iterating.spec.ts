import { defineQueue, json, type Delivery } from 'instance-queue';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { eventually } from '../../support/waiting';

describe('for await over a consumer', () => {
  const given = rabbitmqFixture();
  const filled = async (messages: number): Promise<string> => {
    const queue = await given.bystander.declareQueue();
    for (let id = 0; id < messages; id++) await given.bystander.put(queue, id);
    return queue;
  };

  it('hands out one delivery after the other, and at most the prefetch of unsettled ones wait', async () => {
    const { bystander, newClient } = given;
    const name = await filled(10);
    const client = newClient();
    const consumer = client.consumer({
      queue: defineQueue({ name, passive: true, body: json<number>() }),
      prefetch: 3,
    });
    const got: number[] = [];
    for await (const { body, ack } of bound(consumer)) {
      if (got.length === 0) {
        await eventually(() => client.metrics.inFlight === 3);
        expect((await bystander.count(name)).ready).toBe(7);
      }
      got.push(body);
      ack();
      if (got.length === 10) break;
    }
    expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(consumer.state.status).toBe('stopped');
    expect((await bystander.count(name)).ready).toBe(0);
  });

  it.each(['break', 'throw', 'return'] as const)('%s releases what the loop has not had, and closes', async (how) => {
    const { bystander, newClient } = given;
    const queue = await filled(5);
    const client = newClient();
    const consumer = client.consumer({ queue });
    const loop = async (): Promise<string> => {
      for await (const delivery of consumer) {
        await eventually(() => client.metrics.inFlight === 5);
        delivery.ack();
        if (how === 'break') break;
        if (how === 'throw') throw new Error('thrown');
        return 'returned';
      }
      return 'broken';
    };
    const outcome = await loop().catch(String);
    expect(outcome).toBe({ break: 'broken', throw: 'Error: thrown', return: 'returned' }[how]);
    expect(consumer.state.status).toBe('stopped');
    expect((await bystander.count(queue)).ready).toBe(4);
  });

  it('a delivery can be settled behind the loop, which does not wait for it', async () => {
    const { bystander, newClient } = given;
    const queue = await filled(1);
    const client = newClient();
    const consumer = client.consumer({ queue });
    let taken: Delivery<unknown> | undefined;
    for await (const delivery of consumer) {
      taken = delivery;
      break;
    }
    expect(taken?.ack()).toBe(true);
    await client.close();
    expect((await bystander.count(queue)).ready).toBe(0);
  });

  it('ends when the queue closes, and releases what waits', async () => {
    const { bystander, newClient } = given;
    const queue = await filled(5);
    const client = newClient();
    let closed: Promise<unknown> | undefined;
    let steps = 0;
    for await (const delivery of client.consumer({ queue })) {
      await eventually(() => client.metrics.inFlight === 5);
      steps++;
      closed = client.close();
      delivery.ack();
    }
    expect(steps).toBe(1);
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect((await bystander.count(queue)).ready).toBe(4);
  });

  it('throws what `deliveries$` errors with', async () => {
    const { bystander, newClient } = given;
    const consumer = newClient().consumer({ queue: { name: bystander.freeQueueName(), passive: true } });
    const loop = async (): Promise<void> => {
      for await (const delivery of consumer) delivery.ack();
    };
    await expect(loop()).rejects.toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
  });
});

/** The deliveries with an `ack` that may be taken off them. */
async function* bound<T>(
  deliveries: AsyncIterable<Delivery<T>>,
): AsyncGenerator<{ readonly body: T; readonly ack: () => boolean }> {
  for await (const delivery of deliveries) yield { body: delivery.body, ack: () => delivery.ack() };
}
