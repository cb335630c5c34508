/**
 * `npm run demo`: starts a RabbitMQ, sends numbered messages through it, injects faults, and ends with a table of what each
 * fault cost. Exit code 0 only if everything recovered and nothing was lost.
 */
import { handle, InstanceQueue } from 'instance-queue';
import { setTimeout as pause } from 'node:timers/promises';
import { interval, lastValueFrom, Subject, takeUntil } from 'rxjs';
import { startBroker } from '../compose/broker';
import { FaultProxy } from 'instance-queue/testing';
import { Ledger } from '../compose/ledger';
import { median } from '../compose/median';
import { DISRUPTIONS, type Disruption, type Scene } from './tour/disruptions';
import { progress } from './tour/progress';
import { durationOf, table, type Recovery, type Row } from './tour/table';

/** ms between two messages. */
const EVERY = 5;
/** ms without a fault before each disruption, and after the last. */
const PEACE = 1200;
/** ms after which something counts as not recovered. */
const PATIENCE = 30_000;

async function main(): Promise<boolean> {
  const broker = await startBroker({
    say: (line) => {
      console.log(line);
    },
  });
  const proxy = await FaultProxy.before(broker.url);
  const queue = new InstanceQueue({ url: proxy.url(broker.url), name: 'tour' });
  const queueName = `instance-queue-tour-${String(process.pid)}`;
  const names = { consumer: 'tour.consumer', producer: 'tour.producer' };
  try {
    return await tour({ broker, proxy, queue, queueName, names });
  } finally {
    await queue.close({ drainTimeout: 1000 });
    await proxy.close();
    await broker.stop();
  }
}

async function tour(scene: Scene): Promise<boolean> {
  const { queue, queueName, broker } = scene;
  const ledger = new Ledger();
  const stopSending = new Subject<void>();
  const stopReceiving = new Subject<void>();
  await queue.connect();

  // The two sides of the service: this is all it takes.
  const received = lastValueFrom(
    queue.consume<{ n: number }>({ queue: queueName, until: stopReceiving }).pipe(
      handle(({ body }) => {
        ledger.receive(body.n);
      }),
    ),
    { defaultValue: undefined },
  );
  interval(EVERY)
    .pipe(takeUntil(stopSending))
    .subscribe(() => {
      const n = ledger.send();
      queue.send({ queue: queueName, body: { n } }).then(
        () => {
          ledger.confirm(n);
        },
        (error: unknown) => {
          ledger.fail(n, error);
        },
      );
    });

  console.log(`
A producer sends a numbered message every ${String(EVERY)} ms, and a consumer receives them. Now ${String(DISRUPTIONS.length)} faults follow, which takes half
a minute. Outage: how long a fault lasts. Recovery: from its end to the next new message.
`);
  const shown = progress(queue, ledger);
  const done: {
    readonly disruption: Disruption;
    readonly recovery: Row['recovery'];
    readonly from: number;
    readonly deletedAt: number;
  }[] = [];
  try {
    for (const [index, disruption] of DISRUPTIONS.entries()) {
      const from = ledger.next;
      const step = `${String(index + 1)}/${String(DISRUPTIONS.length)} ${disruption.title}`;
      shown.doing(step);
      const recovery =
        disruption.control && broker.how === 'url' ? 'not tried' : await disrupt(disruption, scene, ledger);
      done.push({ disruption, recovery, from, deletedAt: disruption.sinks ? performance.now() : -Infinity });
      shown.line(`  ${step}: ${toldOf(recovery)}`);
    }
    shown.doing('waiting for the last messages');
    await pause(PEACE);
    stopSending.next();
    await settled(ledger);
  } finally {
    // Also when a fault could not be injected: otherwise the process would not end.
    stopSending.next();
    shown.stop();
    stopReceiving.next();
  }
  await received;

  const rows = done.map(({ disruption, recovery, from, deletedAt }, i): Row => {
    const to = done[i + 1]?.from ?? ledger.next;
    return { title: disruption.title, recovery, counts: ledger.counts(from, to, deletedAt) };
  });
  return report(rows, ledger);
}

function toldOf(recovery: Row['recovery']): string {
  if (recovery === undefined) return 'NOT RECOVERED';
  if (recovery === 'not tried') return 'not tried: it needs a broker of its own (unset AMQP_URL)';
  const { outage, after } = recovery;
  return `${outage < 1 ? '' : `out for ${durationOf(outage)}, `}messages flow again after ${durationOf(after)}`;
}

/**
 * Injects a fault and waits for the next new message. Gives the medians if it is done several times, and undefined if no message
 * came.
 */
async function disrupt({ act, times = 1 }: Disruption, scene: Scene, ledger: Ledger): Promise<Recovery | undefined> {
  const outages: number[] = [];
  const gaps: number[] = [];
  for (let i = 0; i < times; i++) {
    await pause(PEACE);
    const { from, to } = await act(scene);
    const arrived = await Promise.race([ledger.received(to), pause(PATIENCE, undefined, { ref: false })]);
    if (arrived === undefined) return undefined;
    outages.push(to - from);
    gaps.push(arrived - to);
  }
  return { outage: median(outages) ?? 0, after: median(gaps) ?? 0 };
}

/** All confirmed or failed, and all confirmed ones received as far as they ever will be. */
async function settled(ledger: Ledger): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (!ledger.settled && performance.now() < deadline) await pause(20);
  const enough = performance.now() + PEACE;
  while (ledger.counts().lost > 0 && performance.now() < enough) await pause(20);
}

function report(rows: readonly Row[], ledger: Ledger): boolean {
  const lost = rows.reduce((sum, { counts }) => sum + counts.lost, 0);
  const failed = rows.reduce((sum, { counts }) => sum + counts.failed, 0);
  const sunk = rows.reduce((sum, { counts }) => sum + counts.sunk, 0);
  const recovered = rows.every((row) => row.recovery !== undefined);
  console.log(`\n${table(rows)}\n`);
  console.log('Duplicates were in flight when a connection was lost; each has the messageId of its first copy.');
  if (sunk > 0)
    console.log(
      `${String(sunk)} more were confirmed into the queue while it was being deleted; no client can save those.`,
    );
  for (const failure of new Set(ledger.failures)) console.log(`Not confirmed: ${failure}`);
  const good = recovered && lost === 0 && failed === 0;
  console.log(good ? 'Everything recovered, and nothing was lost.' : 'NOT GOOD: see above.');
  return good;
}

main().then(
  (good) => {
    process.exitCode = good ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
