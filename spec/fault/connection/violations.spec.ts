import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { startChild, type Child } from '../../support/child';
import { eventually } from '../../support/waiting';
import { FLOODS, VIOLATIONS, type Targets } from './violations';

const MIB = 1024 * 1024;
/** For the whole process, which needs some 30 MiB by itself. */
const MEMORY = 200 * MIB;
/** Much more than the process may hold. */
const FLOOD = 600 * MIB;

let fake: FakeBroker;
let child: Child;
beforeEach(async () => {
  fake = await FakeBroker.start();
  child = startChild('spec/fault/connection/violated-client.program.ts', [fake.url], 60_000);
});
afterEach(async () => {
  child.signal('SIGKILL');
  await child.ended;
  await fake.close();
});

/** The channels of the consumer that attached last, and of the producer that published last. */
function targets(): Targets | undefined {
  for (const consuming of [...fake.clients].reverse()) {
    const consume = [...consuming.received].reverse().find(({ name }) => name === 'basic.consume');
    if (!consume) continue;
    for (const producing of [...fake.clients].reverse()) {
      const published = producing.published.at(-1);
      if (!published) continue;
      return {
        consuming: { client: consuming, channel: consume.channel, tag: String(consume.fields['consumerTag']) },
        producing: { client: producing, channel: published.channel },
      };
    }
  }
  return undefined;
}

let pings = 100;
/** Resolves when the client acks a delivery and publishes again. */
async function serves(): Promise<void> {
  const publishes = (): number => fake.clients.reduce((sum, { published }) => sum + published.length, 0);
  const before = publishes();
  await eventually(() => publishes() > before + 2);
  const number = (pings += 1);
  const sentTo = new Set<string>();
  await eventually(() => {
    const { client, channel, tag } = targets()!.consuming;
    // Once to each consumer, because the previous one may have been closing.
    if (!sentTo.has(tag)) client.sendContent(channel, 'basic.deliver', delivery(tag, number), '1', JSON_BODY);
    sentTo.add(tag);
    return client.received.some(({ name, fields }) => name === 'basic.ack' && fields['deliveryTag'] === number);
  });
}
const JSON_BODY = { contentType: 'application/json' };
const delivery = (consumerTag: string, deliveryTag: number): Readonly<Record<string, unknown>> => ({
  consumerTag,
  deliveryTag,
  redelivered: false,
  exchange: '',
  routingKey: '',
});

/** Ends the process, which must write nothing to standard error. */
async function endUnharmed(): Promise<{ readonly peak: number; readonly stall: number }> {
  child.signal('SIGTERM');
  const { code, signal, stdout, stderr } = await child.ended;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  return JSON.parse(stdout) as { peak: number; stall: number };
}

describe('a broker that violates the protocol', () => {
  it('never crashes nor stalls the process: the next channel or the next connection works', async () => {
    await eventually(targets);
    await serves();
    for (const [what, violation] of Object.entries(VIOLATIONS)) {
      violation(targets()!);
      await serves().catch((cause: unknown) => {
        throw new Error(`Expected the client to work again after ${what}`, { cause });
      });
    }
    const { peak, stall } = await endUnharmed();
    expect(peak).toBeLessThan(MEMORY);
    expect(stall).toBeLessThan(2000);
  }, 60_000);

  it.each(Object.entries(FLOODS))(
    'by sending %s does not fill the memory',
    async (_, flood) => {
      const initial = await eventually(targets);
      const { consuming } = initial;
      let sent = 0;
      // As long as the same consumer is attached.
      const takes = (): boolean => !consuming.client.gone && targets()?.consuming.tag === consuming.tag;
      while (takes() && sent < FLOOD) {
        flood(initial);
        sent += MIB;
        await new Promise((resolve) => setImmediate(resolve));
        await consuming.client.drained();
      }
      expect(sent).toBeLessThan(FLOOD);
      await serves();
      expect((await endUnharmed()).peak).toBeLessThan(MEMORY);
    },
    60_000,
  );
});
