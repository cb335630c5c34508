import { consume, handle, type Connection } from 'instance-queue';
import { isAtLeast } from '../../support/brokers/version';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { eventually } from '../../support/waiting';

const LIMIT = 2;

// https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
describe('a delivery limit', () => {
  const given = rabbitmqFixture({ private: true });
  const { broker } = given;
  let connection: Connection;
  let dead: string;
  let queue: string;
  beforeEach(async () => {
    dead = await given.bystander.declareQueue();
    queue = given.bystander.freeQueueName();
    connection = given.newConnection();
  });
  const limited = (): {
    readonly name: string;
    readonly type: 'quorum';
    readonly deliveryLimit: number;
    readonly deadLetter: { readonly queue: string };
  } => ({
    name: queue,
    type: 'quorum',
    deliveryLimit: LIMIT,
    deadLetter: { queue: dead },
  });

  it('is reached by a failing message, which is dead-lettered, and each delivery carries its count', async () => {
    const { bystander } = given;
    const runs: number[] = [];
    collect(
      consume(connection, { queue: limited() }).pipe(
        handle(
          ({ deliveryCount }) => {
            runs.push(deliveryCount);
            throw new Error('fails every time');
          },
          { onError: 'requeue' },
        ),
      ),
    );
    await eventually(() => bystander.hasQueue(queue));
    await bystander.put(queue, 'poison');
    await eventually(async () => (await bystander.count(dead)).ready === 1);
    expect(runs).toEqual([0, 1, 2]);
  });

  it('counts released deliveries before RabbitMQ 4.3, and not since', async () => {
    const { bystander } = given;
    const counts: number[] = [];
    const deliveries = LIMIT + 3;
    consume(connection, { queue: limited() }).subscribe((delivery) => {
      counts.push(delivery.deliveryCount);
      if (counts.length < deliveries) delivery.release();
      else delivery.ack();
    });
    await eventually(() => bystander.hasQueue(queue));
    await bystander.put(queue, 'released');
    if (isAtLeast(broker, '4.3')) {
      await eventually(() => counts.length === deliveries);
      expect((await bystander.count(dead)).ready).toBe(0);
    } else {
      await eventually(async () => (await bystander.count(dead)).ready === 1);
      expect(counts).toEqual([0, 1, 2]);
    }
  });
});
