import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { startChild, type Child } from '../../support/child';
import { eventually } from '../../support/waiting';
import { FLOODS, MISDEEDS, type Targets } from './misdeeds';

const MIB = 1024 * 1024;
/** In all: the program itself takes some 30 MiB of it. */
const MEMORY = 200 * MIB;
/** Much more than the victim may ever hold. */
const FLOOD = 600 * MIB;

let fake: FakeBroker;
let victim: Child;
beforeEach(async () => {
  fake = await FakeBroker.start();
  victim = startChild('spec/fault/connection/victim.program.ts', [fake.url], 60_000);
});
afterEach(async () => {
  victim.signal('SIGKILL');
  await victim.ended;
  await fake.close();
});

/** The consumer and the producer as they serve now: the latest to have attached, and to have published. */
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
/** Messages are acked and publishes come in, whatever was before. */
async function serves(): Promise<void> {
  const publishes = (): number => fake.clients.reduce((sum, { published }) => sum + published.length, 0);
  const before = publishes();
  await eventually(() => publishes() > before + 2);
  const number = (pings += 1);
  const told = new Set<string>();
  await eventually(() => {
    const { client, channel, tag } = targets()!.consuming;
    // Once to each consumer: its predecessor may have been dying.
    if (!told.has(tag)) client.sendContent(channel, 'basic.deliver', delivery(tag, number), '1', JSON_BODY);
    told.add(tag);
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

/** It ends well, without a word on standard error. */
async function unharmed(): Promise<{ readonly peak: number; readonly stall: number }> {
  victim.signal('SIGTERM');
  const { code, signal, stdout, stderr } = await victim.ended;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  return JSON.parse(stdout) as { peak: number; stall: number };
}

describe('a broker that does what no broker does', () => {
  it('never takes the process down, nor stops it: each time the next channel, or the next connection, serves', async () => {
    await eventually(targets);
    await serves();
    for (const [what, misdeed] of Object.entries(MISDEEDS)) {
      misdeed(targets()!);
      await serves().catch((cause: unknown) => {
        throw new Error(`It did not serve again after ${what}`, { cause });
      });
    }
    const { peak, stall } = await unharmed();
    expect(peak).toBeLessThan(MEMORY);
    expect(stall).toBeLessThan(2000);
  }, 60_000);

  it.each(Object.entries(FLOODS))(
    'and goes on with %s fills no memory',
    async (_, flood) => {
      const initial = await eventually(targets);
      const { consuming } = initial;
      let sent = 0;
      // For as long as that consumer takes it.
      const takes = (): boolean => !consuming.client.gone && targets()?.consuming.tag === consuming.tag;
      while (takes() && sent < FLOOD) {
        flood(initial);
        sent += MIB;
        await new Promise((resolve) => setImmediate(resolve));
        await consuming.client.drained();
      }
      expect(sent).toBeLessThan(FLOOD);
      await serves();
      expect((await unharmed()).peak).toBeLessThan(MEMORY);
    },
    60_000,
  );
});
