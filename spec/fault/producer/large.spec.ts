import { Connection, Producer } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { outcomes } from '../../support/publish-error';

const { url } = sharedBroker();
afterEach(closeAll);

const KIB = 1024;
/** Around what shares a chunk, what fills one, what takes more frames than one. */
const SIZES = [0, 300, 15 * KIB, 16 * KIB, 100 * KIB, 128 * KIB - 8, 128 * KIB, 260 * KIB, 512 * KIB, 700 * KIB];
const COUNT = 60;
const bodyOf = (number: number): Buffer => Buffer.alloc(SIZES[number % SIZES.length] ?? 0, `${String(number)};`);

test('bodies of every size, of two producers on one connection, arrive whole, however often it is cut within them', async () => {
  const bystander = closing(await Bystander.at(url));
  const queue = await bystander.declareQueue();
  const proxy = closing(await FaultProxy.before(url));
  const reconnect = { min: 5, max: 20 };
  const connection = closing(new Connection({ url: proxy.url(url), reconnect, reopen: reconnect }));
  const producers = [0, 1].map(() => closing(new Producer(connection, { persistent: false, maxInFlight: 12 })));

  let bytes = 0;
  let cuts = 0;
  proxy.onBytes((direction, chunk) => {
    if (direction === 'toBroker') bytes += chunk.length;
    // Odd, so that it falls into the middle of something.
    if (cuts < 6 && bytes > (cuts + 1) * 1_234_567) {
      cuts++;
      proxy.cut();
    }
  });
  const numbers = Array.from({ length: COUNT }, (_, number) => number);
  const settled = await outcomes(
    numbers.flatMap(
      (number) => producers[number % 2]?.send({ queue, body: bodyOf(number), messageId: String(number) }) ?? [],
    ),
  );
  expect(new Set(settled)).toEqual(new Set(['confirmed']));
  expect(cuts).toBe(6);
  const arrived = await bystander.takeAll(queue);
  const torn = arrived.filter(({ content, properties }) => !content.equals(bodyOf(Number(properties.messageId))));
  expect(torn).toEqual([]);
  expect(new Set(arrived.map(({ properties }) => Number(properties.messageId)))).toEqual(new Set(numbers));
  // In both lines, each in its order.
  for (const line of [0, 1]) {
    const firsts = new Set(arrived.map(({ properties }) => Number(properties.messageId)).filter((n) => n % 2 === line));
    expect([...firsts]).toEqual(numbers.filter((n) => n % 2 === line));
  }
});
