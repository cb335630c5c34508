import { createHash } from 'node:crypto';
import { Connection, Consumer, Producer, bytes, handle, type Message } from 'instance-queue';
import { closing } from '../../../support/closing';
import { rabbitmqFixture } from '../../../support/fixtures/rabbitmq';
import { eventually } from '../../../support/waiting';

/** Empty, small, around the sizes of a frame, and larger than a single read. */
const SIZES = [0, 1, 256, 8184, 8185, 16_384, 70_000, 131_064, 131_065, 400_000];
const EACH = 40;

const digest = (content: Buffer): string => createHash('sha1').update(content).digest('hex');
/** No two bodies are equal, so that a mixed-up piece or a swapped message changes the digest. */
function bodyOf(line: number, number: number): Buffer {
  const seed = createHash('sha1')
    .update(`${String(line)}.${String(number)}`)
    .digest();
  return Buffer.alloc(SIZES[(number * 7 + line) % SIZES.length] ?? 0, seed);
}

describe('bodies of any size, over several channels of one connection at once', () => {
  const given = rabbitmqFixture();

  // RabbitMQ 4.1 and later refuse frame sizes below 8 KiB.
  it.each([8192, 131_072])('arrive whole and in order, in frames of %d', async (frameMax) => {
    const url = `${given.url}?frameMax=${String(frameMax)}`;
    const [sending, receiving] = [closing(new Connection(url)), closing(new Connection(url))];
    const queues = await Promise.all([1, 2, 3, 4].map(() => given.bystander.declareQueue()));
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
            // One in three has another property, which takes another path in the frame writer.
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
