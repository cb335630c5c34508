import { Consumer, handle, type Message } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually } from '../../support/waiting';

const COUNT = 30;
/** From one frame to six. */
const sizeOf = (i: number): number => 100_000 + i * 20_000;
const bodyOf = (i: number): Buffer => Buffer.alloc(sizeOf(i), `${String(i)};`);

describe('bodies in several frames', () => {
  const given = consumingFixture();

  /** Puts messages of all sizes into a queue, each with its number as its id. */
  const putAll = async (queue: string): Promise<void> => {
    for (let i = 0; i < COUNT; i++)
      await given.bystander.publishRaw('', queue, [bodyOf(i)], { messageId: String(i), persistent: false });
  };
  /** The ids of those whose body is not as it was sent. */
  const brokenOf = (messages: readonly Message<unknown>[]): readonly (string | undefined)[] =>
    messages
      .filter(({ content, properties }) => !content.equals(bodyOf(Number(properties.messageId))))
      .map(({ properties }) => properties.messageId);

  it('arrive whole, however often the link is cut in the middle of one', async () => {
    const { connection, proxy, queue } = given;
    await putAll(queue);
    const broken: (string | undefined)[] = [];
    const worked = new Set<string>();
    let runs = 0;
    const consumer = closing(new Consumer(connection, { queue, prefetch: 10 }));
    const working$ = consumer.deliveries$.pipe(
      handle((message) => {
        const id = message.properties.messageId ?? '';
        broken.push(...brokenOf([message]));
        worked.add(id);
        // The broker is sending the next ones.
        if (++runs % 4 === 0 && runs <= COUNT) proxy.cut();
      }),
    );
    const { error } = collect(working$);
    await eventually(() => worked.size === COUNT);
    expect(runs).toBeGreaterThan(COUNT);
    expect({ broken, error }).toEqual({ broken: [], error: undefined });
  });

  it('arrive whole beside each other and beside small ones, on channels of one connection', async () => {
    const { bystander, connection, queue } = given;
    const [other, small] = [await bystander.declareQueue(), await bystander.declareQueue()];
    await Promise.all([putAll(queue), putAll(other)]);
    await bystander.put(small, ...Array.from({ length: 200 }, (_, i) => i));
    const seen: Message<unknown>[] = [];
    const numbers: unknown[] = [];
    for (const large of [queue, other])
      collect(
        closing(new Consumer(connection, { queue: large })).deliveries$.pipe(handle((one) => void seen.push(one))),
      );
    collect(
      closing(new Consumer(connection, { queue: small })).deliveries$.pipe(
        handle(({ body }) => void numbers.push(body)),
      ),
    );
    await eventually(() => seen.length === 2 * COUNT && numbers.length === 200);
    expect(brokenOf(seen)).toEqual([]);
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it('under way while the consumer closes are given back, and come whole to the next one', async () => {
    const { connection, queue } = given;
    await putAll(queue);
    const first = closing(new Consumer(connection, { queue, prefetch: 20 }));
    const taken = collect(first.deliveries$);
    await eventually(() => taken.values.length > 0);
    await first.close({ drainTimeout: 0 });
    const rest = collect(closing(new Consumer(connection, { queue, prefetch: 100 })).deliveries$);
    await eventually(() => rest.values.length === COUNT);
    expect(brokenOf([...taken.values, ...rest.values])).toEqual([]);
  });
});
