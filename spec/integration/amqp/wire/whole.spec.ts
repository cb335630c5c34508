import { createHash } from 'node:crypto';
import { Connection, Consumer, Producer, bytes, handle, type Message } from 'instance-queue';
import { sharedBroker } from '../../../support/brokers/test-brokers';
import { Bystander } from '../../../support/brokers/bystander';
import { closeAll, closing } from '../../../support/closing';
import { eventually } from '../../../support/waiting';

/** Nothing, a little, a frame of either size and one octet more, what no single read holds. */
const SIZES = [0, 1, 256, 8184, 8185, 16_384, 70_000, 131_064, 131_065, 400_000];
const EACH = 40;

const digest = (content: Buffer): string => createHash('sha1').update(content).digest('hex');
/** No two alike: a piece of another message, or a place taken by another, changes it. */
function bodyOf(line: number, number: number): Buffer {
  const seed = createHash('sha1')
    .update(`${String(line)}.${String(number)}`)
    .digest();
  return Buffer.alloc(SIZES[(number * 7 + line) % SIZES.length] ?? 0, seed);
}

describe('bodies of every size, through several channels of one connection at once', () => {
  const broker = sharedBroker();
  let side: Bystander;
  beforeEach(async () => {
    side = await Bystander.at(broker.url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  // RabbitMQ 4.1 and later take no frames below 8 KiB.
  it.each([8192, 131_072])('arrive whole and in order, in frames of %d', async (frameMax) => {
    const url = `${broker.url}?frameMax=${String(frameMax)}`;
    const [sending, receiving] = [closing(new Connection(url)), closing(new Connection(url))];
    const queues = await Promise.all(Array.from({ length: 4 }, () => side.declareQueue()));
    const arrived = queues.map((): string[] => []);
    for (const [line, queue] of queues.entries()) {
      const consumer = closing(new Consumer<Buffer>(receiving, { queue, codec: bytes, prefetch: 100 }));
      const seen = ({ messageId, content }: { messageId: string | undefined; content: Buffer }): void => {
        arrived[line]?.push(`${messageId ?? ''} ${digest(content)}`);
      };
      consumer.deliveries$
        .pipe(
          handle(({ content, properties: { messageId } }: Message<Buffer>) => {
            seen({ messageId, content });
          }),
        )
        .subscribe();
    }
    const sent = await Promise.all(
      queues.map(async (queue, line) => {
        const producer = closing(new Producer<Buffer>(sending, { codec: bytes }));
        const bodies = Array.from({ length: EACH }, (_, number) => bodyOf(line, number));
        await Promise.all(
          bodies.map((body, number) =>
            // Every third says more: it is written in another way.
            producer.send({ queue, body, messageId: String(number), ...(number % 3 === 0 && { type: 'third' }) }),
          ),
        );
        return bodies.map((body, number) => `${String(number)} ${digest(body)}`);
      }),
    );
    await eventually(() => arrived.every(({ length }) => length >= EACH));
    expect(arrived).toEqual(sent);
    expect([sending.state, receiving.state]).toEqual([
      expect.objectContaining({ status: 'connected', epoch: 1 }),
      expect.objectContaining({ status: 'connected', epoch: 1 }),
    ]);
  });
});
