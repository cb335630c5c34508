import { Connection, Producer, type QueueSpec } from 'instance-queue';
import { FORWARDING, Forwarder } from '../../../lib/retry/forwarder';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let bystander: Bystander;
let proxy: FaultProxy;
let connection: Connection;
let forwarder: Forwarder;
let origin: string;
let into: QueueSpec;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  proxy = closing(await FaultProxy.before(url));
  connection = closing(new Connection({ url: proxy.url(url), reconnect: { min: 10, max: 10 } }));
  forwarder = new Forwarder(connection.core, closing(new Producer(connection, FORWARDING)));
  origin = await bystander.declareQueue();
  const name = bystander.deletesQueue(`${origin}.wait`);
  into = { name, type: 'classic', messageTtl: 400, expires: 1400, deadLetter: { queue: origin } };
});
afterEach(closeAll);

const { signal } = new AbortController();
const forward = (body: number): Promise<void> => {
  const content = Buffer.from(String(body));
  return forwarder.forward({ route: { queue: into.name }, content, properties: {} }, { into, signal });
};

test('a wait queue in use never expires with messages in it, and one out of use expires', async () => {
  const began = performance.now();
  let body = 0;
  // Three times as long as an unused queue lives: publishing does not renew its lease.
  while (performance.now() < began + 4200) {
    await forward(body++);
    await eventually(() => performance.now() > began + body * 50);
  }
  // A copy whose confirm comes too late is sent again.
  const arrived = new Set<unknown>();
  await eventually(async () => {
    for (const one of bodies(await bystander.takeAll(origin))) arrived.add(one);
    return arrived.size === body;
  });
  expect([...arrived]).toEqual(Array.from({ length: body }, (_, i) => i));
  await eventually(async () => {
    // Listed through the broker, because a passive declare would count as use.
    const rows = await sharedBroker().queues();
    return !rows.some(({ name }) => name === into.name);
  });
});

test('a copy is sent again when its confirm comes so late that the queue may expire before it', async () => {
  await forward(0);
  proxy.hold('toClient');
  const late = forward(1);
  const began = performance.now();
  await eventually(() => performance.now() > began + 1000);
  proxy.release();
  await late;
  const [first, ...copies] = bodies(await bystander.takeAtLeast(origin, 3));
  expect([first, ...new Set(copies)]).toEqual([0, 1]);
});

test('forwarding that is aborted while it waits for the connection rejects', async () => {
  proxy.refuse();
  const controller = new AbortController();
  const waiting = forwarder.forward(
    { route: { queue: into.name }, content: Buffer.alloc(0), properties: {} },
    { into, signal: controller.signal },
  );
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
});

test('forwarding rejects when the connection is closed for good', async () => {
  await connection.close();
  await expect(forward(1)).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
});
