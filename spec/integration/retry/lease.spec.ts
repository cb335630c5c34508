import type { QueueSpec } from 'instance-queue';
import { FORWARDING, Forwarder } from '../../../lib/retry/forwarder';
import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

const given = producingFixture({ connection: { reconnect: { min: 10, max: 10 } } });
let forwarder: Forwarder;
let into: QueueSpec;
beforeEach(() => {
  const { bystander, queue, connection, newProducer } = given;
  forwarder = new Forwarder(connection.core, newProducer(FORWARDING));
  const name = bystander.deletesQueue(`${queue}.wait`);
  into = { name, type: 'classic', messageTtl: 400, expires: 1400, deadLetter: { queue } };
});

const { signal } = new AbortController();
const forward = (body: number): Promise<void> => {
  const content = Buffer.from(String(body));
  return forwarder.forward({ route: { queue: into.name }, content, properties: {} }, { into, signal });
};

test('a wait queue in use never expires with messages in it, and an unused one expires', async () => {
  const { broker, bystander, queue } = given;
  const began = performance.now();
  let body = 0;
  // Three times as long as `expires`, which publishing does not renew.
  while (performance.now() < began + 4200) {
    await forward(body++);
    await eventually(() => performance.now() > began + body * 50);
  }
  // There may be duplicates: a copy whose confirm takes too long is sent again.
  const arrived = new Set<unknown>();
  await eventually(async () => {
    for (const one of bodies(await bystander.takeAll(queue))) arrived.add(one);
    return arrived.size === body;
  });
  expect([...arrived]).toEqual(numbers(body));
  await eventually(async () => {
    // Listed, because a declare would renew it.
    const rows = await broker.queues();
    return !rows.some(({ name }) => name === into.name);
  });
});

test('a copy that is confirmed so late that its queue may have expired is sent again', async () => {
  const { bystander, proxy, queue } = given;
  await forward(0);
  proxy.hold('toClient');
  const late = forward(1);
  const began = performance.now();
  await eventually(() => performance.now() > began + 1000);
  proxy.release();
  await late;
  const [first, ...copies] = bodies(await bystander.takeAtLeast(queue, 3));
  expect([first, ...new Set(copies)]).toEqual([0, 1]);
});

test('a forward that is aborted while it waits for the connection rejects', async () => {
  given.proxy.refuse();
  const controller = new AbortController();
  const waiting = forwarder.forward(
    { route: { queue: into.name }, content: Buffer.alloc(0), properties: {} },
    { into, signal: controller.signal },
  );
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
});

test('a forward on a closed connection rejects', async () => {
  await given.connection.close();
  await expect(forward(1)).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
});
