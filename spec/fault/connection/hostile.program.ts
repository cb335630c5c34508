/** A client and a broker gone mad, in one process: for some seconds each connection is sent random octets at a random step. */
import { createHash } from 'node:crypto';
import { InstanceQueue } from '../../../lib/index';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { encodeMethod } from '../../support/frames/methods';

const seed = process.argv[2] ?? 'none';
let drawn = 0;
/** 0 to 1, the same for the same seed. */
const random = (): number =>
  createHash('sha1')
    .update(`${seed} ${(drawn += 1)}`)
    .digest()
    .readUInt32BE(0) /
  2 ** 32;
const below = (limit: number): number => Math.floor(random() * limit);

const openOk = encodeMethod('connection.open-ok', 0, { knownHosts: '' });
const STEPS = [
  'protocol-header',
  'connection.start-ok',
  'connection.tune-ok',
  'connection.open',
  'channel.open',
  'basic.consume',
  'confirm.select',
];

function nonsense(): Buffer {
  const payload = Buffer.from(Array.from({ length: below(40) }, () => below(256)));
  if (random() < 0.3) return payload;
  // A frame in form, of a method that is nearly right.
  const head = Buffer.alloc(11);
  head.writeUInt8([1, 1, 1, 2, 3, 8, 9][below(7)] ?? 1, 0);
  head.writeUInt16BE(below(3), 1);
  head.writeUInt32BE(payload.length + 4, 3);
  head.writeUInt16BE([10, 20, 50, 60, 85][below(5)] ?? 10, 7);
  head.writeUInt16BE(below(60), 9);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}

function misbehave(client: FakeClient): void {
  const step = STEPS[below(STEPS.length)] ?? 'protocol-header';
  // Silence, or a step that never comes, may be all that follows; nobody waits for heartbeats to be missed.
  setTimeout(() => client.reset(), 20 + below(60));
  client.onMethod(step, () => {
    // In one segment with open-ok, too, when nobody can listen yet.
    const together = step === 'connection.open' && random() < 0.5;
    client.write(together ? Buffer.concat([openOk, nonsense()]) : nonsense());
    if (random() < 0.3) client.end();
    return random() < 0.5 && !together && step !== 'protocol-header' ? 'default' : undefined;
  });
}

async function main(): Promise<void> {
  const fake = await FakeBroker.start(misbehave);
  const reconnect = { min: 1, max: 2, stableAfter: 1 };
  const queue = new InstanceQueue({
    url: fake.url,
    connectTimeout: 40,
    heartbeat: 1,
    authErrors: 'retry',
    reconnect,
    reopen: reconnect,
  });
  const consuming = (): void => {
    queue.consume({ queue: 'q', declare: false }).subscribe({ error: () => setTimeout(consuming, 5) });
  };
  consuming();
  const until = performance.now() + 4000;
  while (performance.now() < until) await queue.send({ queue: 'q', body: 1 }, { timeout: 20 }).catch(() => undefined);
  const { length } = fake.clients;
  queue.removeAllListeners();
  await queue.close({ drainTimeout: 0 });
  await fake.close();
  if (length < 50) throw new Error(`Only ${length} connections were made`);
  process.stdout.write(`survived ${length} connections\n`);
  process.exit(0);
}

void main();
