import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { outcomes } from '../../support/publish-error';

const backoff = { min: 5, max: 20 };
const given = producingFixture({ connection: { reconnect: backoff, reopen: backoff } });

const KIB = 1024;
/** Sizes around those that share a chunk, that fill one, and that need several frames. */
const SIZES = [0, 300, 15 * KIB, 16 * KIB, 100 * KIB, 128 * KIB - 8, 128 * KIB, 260 * KIB, 512 * KIB, 700 * KIB];
const COUNT = 60;
const bodyOf = (number: number): Buffer => Buffer.alloc(SIZES[number % SIZES.length] ?? 0, `${String(number)};`);

test('bodies of any size arrive whole, from two producers on one connection that is lost in the middle of them', async () => {
  const { bystander, proxy, queue, newProducer } = given;
  const producers = [0, 1].map(() => newProducer({ persistent: false, maxInFlight: 12 }));

  let bytes = 0;
  let cuts = 0;
  proxy.onBytes((direction, chunk) => {
    if (direction === 'toBroker') bytes += chunk.length;
    // Not a round number, so that the cut falls into the middle of a frame.
    if (cuts < 6 && bytes > (cuts + 1) * 1_234_567) {
      cuts++;
      proxy.cut();
    }
  });
  const all = numbers(COUNT);
  const settled = await outcomes(
    all.flatMap(
      (number) => producers[number % 2]?.send({ queue, body: bodyOf(number), messageId: String(number) }) ?? [],
    ),
  );
  expect(new Set(settled)).toEqual(new Set(['confirmed']));
  expect(cuts).toBe(6);
  const arrived = await bystander.takeAll(queue);
  const torn = arrived.filter(({ content, properties }) => !content.equals(bodyOf(Number(properties.messageId))));
  expect(torn).toEqual([]);
  expect(new Set(arrived.map(({ properties }) => Number(properties.messageId)))).toEqual(new Set(all));
  // The first copies of the messages of each producer are in order.
  for (const producer of [0, 1]) {
    const firsts = new Set(
      arrived.map(({ properties }) => Number(properties.messageId)).filter((n) => n % 2 === producer),
    );
    expect([...firsts]).toEqual(all.filter((n) => n % 2 === producer));
  }
});
