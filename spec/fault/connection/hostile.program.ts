/** A client and a misbehaving broker in one process: for some seconds each connection gets random bytes at a random step. */
import { createHash } from 'node:crypto';
import { InstanceQueue } from '../../../lib/index';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { encodeMethod } from '../../support/frames/methods';

const seed = process.argv[2] ?? 'none';
let drawn = 0;
/** A number from 0 to 1; the sequence depends on the seed alone. */
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

function randomBytes(): Buffer {
  const payload = Buffer.from(Array.from({ length: below(40) }, () => below(256)));
  if (random() < 0.3) return payload;
  // A well-formed frame of a method that may exist.
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
  // What follows may be silence, or the step may never come: do not wait for missing heartbeats.
  setTimeout(() => client.reset(), 20 + below(60));
  client.onMethod(step, () => {
    // Sometimes in one segment with open-ok, when the client has no listeners yet.
    const together = step === 'connection.open' && random() < 0.5;
    client.write(together ? Buffer.concat([openOk, randomBytes()]) : randomBytes());
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
  if (length < 50) throw new Error(`Expected at least 50 connections, got ${length}`);
  process.stdout.write(`survived ${length} connections\n`);
  process.exit(0);
}

void main();
