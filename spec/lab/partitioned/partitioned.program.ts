/**
 * `npm run partitioned`: processes that share a partitioned queue come, leave and are killed while messages flow, and the nodes of the
 * cluster are killed, too. Prints what the records of all processes show. Exit code 1 if a message was lost, if the first works of a
 * key were out of order, or if shares were not even 3 s after a change.
 *
 * MESSAGES (100 000), KEYS (1000), CHANGES (20), PARTITIONS (32), RATE (messages per second at most; none: as many as the broker
 * takes, which leaves the processes no CPU for their changes where all share a machine), CLUSTER=1: three nodes of the RabbitMQ installed here, each killed
 * in turn; otherwise one broker, that of RABBITMQ_IMAGE if there is a Docker engine, which is killed KILLS times.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startBroker } from '../../../compose/broker';
import { startCluster } from '../../../compose/local-cluster';
import { localPrograms } from '../../../compose/local-programs';
import { InstanceQueue, type Partitioned } from '../../../lib';
import { EVEN_WITHIN, Members } from './members';
import { judge } from './order';

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const MESSAGES = number('MESSAGES', 100_000);
const KEYS = number('KEYS', 1000);
const CHANGES = number('CHANGES', 20);
const PARTITIONS = number('PARTITIONS', 32);
const KILLS = number('KILLS', 0);
const RATE = number('RATE', Infinity);
const WINDOW = 1000;
const MOST = 4;

const say = (line: string): void => console.log(line);

interface Node {
  kill(): Promise<void>;
  start(): Promise<void>;
}
interface Brokers {
  readonly version: string;
  readonly urls: readonly string[];
  readonly nodes: readonly Node[];
  stop(): Promise<void>;
}

async function brokers(): Promise<Brokers> {
  if (process.env['CLUSTER']) {
    const cluster = await startCluster(await localPrograms(say));
    return { ...cluster, version: `${cluster.nodes[0]?.version ?? ''}, three nodes`, stop: () => cluster.stop() };
  }
  const broker = await startBroker({ private: true, say });
  return { version: broker.version, urls: [broker.url], nodes: [broker], stop: () => broker.stop() };
}

/** Sends numbered messages of every key, WINDOW at once. Resolves with how many were confirmed, per key. */
async function produce(partitioned: Partitioned, until: () => boolean): Promise<Map<string, number>> {
  const sent = new Map<string, number>();
  let started = 0;
  const began = performance.now();
  const writer = async (): Promise<void> => {
    while (started < MESSAGES || !until()) {
      // Each writer has keys of its own only by chance: the library keeps the order of calls.
      const key = `key-${started++ % KEYS}`;
      const early = began + (started * 1000) / RATE - performance.now();
      if (early > 0) await wait(early);
      const n = sent.get(key) ?? 0;
      sent.set(key, n + 1);
      await partitioned.send({ key, body: { key, n } }, { timeout: 120_000 });
      // Behind the target, while changes still go on, a trickle is enough.
      if (started > MESSAGES) await wait(3000);
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, writer));
  return sent;
}

async function churn(members: Members, nodes: readonly Node[], kills: number): Promise<string[]> {
  const slow: string[] = [];
  const took: Record<string, number[]> = { join: [], leave: [], kill: [] };
  const note = (what: string, ms: number): void => {
    (took[what] ??= []).push(ms);
    if (ms > EVEN_WITHIN) slow.push(`${what}: ${ms.toFixed(0)} ms until shares were even`);
  };
  let killed = 0;
  for (let change = 0; change < CHANGES; change++) {
    const present = [...members.all];
    const one = present[Math.floor(Math.random() * present.length)];
    if (!one || present.length < 2 || (present.length < MOST && change % 2 === 0)) note('join', await members.join());
    else {
      const how = change % 4 === 1 ? 'leave' : 'kill';
      note(how, await members.part(one, how === 'leave'));
    }
    if (kills > killed && change % Math.max(1, Math.floor(CHANGES / kills)) === 0) {
      const node = nodes[killed++ % nodes.length];
      say(`  node ${killed} of ${kills} killed`);
      await node?.kill();
      await wait(1000);
      await node?.start();
      await wait(2000);
    }
  }
  for (const [what, times] of Object.entries(took)) {
    const sorted = times.sort((a, b) => a - b).map((ms) => Math.round(ms));
    say(`  ${what}: ${sorted.length} times, even after ${sorted.join(' ')} ms`);
  }
  return slow;
}

async function main(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-partitioned-'));
  const { urls, nodes, version, stop } = await brokers();
  say(`RabbitMQ ${version}: ${MESSAGES} messages, ${KEYS} keys, ${PARTITIONS} partitions, ${CHANGES} changes`);
  const name = 'partitioned-lab';
  const members = new Members({ urls, name, partitions: PARTITIONS, folder });
  const queue = new InstanceQueue({ url: urls, reconnect: { max: 500 }, logger: 'silent' });
  try {
    const partitioned = queue.partitioned({ name, partitions: PARTITIONS });
    await members.join();
    await members.join();
    const began = performance.now();
    let changed = false;
    const changes = churn(members, nodes, process.env['CLUSTER'] ? Math.max(KILLS, nodes.length) : KILLS).finally(
      () => (changed = true),
    );
    const [sent, slow] = await Promise.all([produce(partitioned, () => changed), changes]);
    const seconds = (performance.now() - began) / 1000;
    await drained(queue, name);
    await wait(500);
    const { seen, lost, inversions, repeated, redelivered } = judge(members.files, sent);
    say(`  ${seen} messages in ${seconds.toFixed(0)} s (${Math.round(seen / seconds)}/s)`);
    say(`  lost ${lost}, inversions ${inversions}, repeated ${repeated}, redelivered ${redelivered}`);
    for (const complaint of [...slow, ...members.errors]) say(`  ${complaint}`);
    return lost === 0 && inversions === 0 && slow.length === 0 && members.errors.length === 0;
  } finally {
    members.stop();
    await queue.close({ drainTimeout: 0 });
    await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function drained(queue: InstanceQueue, name: string): Promise<void> {
  for (let empty = 0; empty < 3;) {
    let messages = 0;
    for (let i = 0; i < PARTITIONS; i++) messages += (await queue.admin.inspect(`${name}.${i}`))?.messages ?? 0;
    empty = messages === 0 ? empty + 1 : 0;
    await wait(300);
  }
}

main().then(
  (good) => {
    say(good ? 'Nothing lost, nothing out of order, shares even in time.' : 'NOT GOOD: see above.');
    process.exitCode = good ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
