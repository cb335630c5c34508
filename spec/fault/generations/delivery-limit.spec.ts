import { Connection, consume, handle } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { isAtLeast } from '../../support/brokers/version';
import { eventually } from '../../support/waiting';

const LIMIT = 2;

// https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
describe('a delivery limit', () => {
  const broker = privateBroker();
  let side: Bystander;
  let connection: Connection;
  let dead: string;
  let queue: string;
  beforeEach(async () => {
    side = await Bystander.at(broker.url);
    dead = await side.declareQueue();
    queue = side.freeQueueName();
    connection = closing(new Connection(broker.url));
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
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

  it('is reached by what fails, and the count told with each delivery: the message ends as a dead letter', async () => {
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
    await eventually(() => side.hasQueue(queue));
    await side.put(queue, 'poison');
    await eventually(async () => (await side.count(dead)).ready === 1);
    expect(runs).toEqual([0, 1, 2]);
  });

  it('counts what was released unstarted before 4.3, and not since', async () => {
    const counts: number[] = [];
    const enough = LIMIT + 3;
    consume(connection, { queue: limited() }).subscribe((delivery) => {
      counts.push(delivery.deliveryCount);
      if (counts.length < enough) delivery.release();
      else delivery.ack();
    });
    await eventually(() => side.hasQueue(queue));
    await side.put(queue, 'never tried');
    if (isAtLeast(broker, '4.3')) {
      await eventually(() => counts.length === enough);
      expect((await side.count(dead)).ready).toBe(0);
    } else {
      await eventually(async () => (await side.count(dead)).ready === 1);
      expect(counts).toEqual([0, 1, 2]);
    }
  });
});
