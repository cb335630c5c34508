/**
 * `npm run demo`: brings a RabbitMQ up, lets numbered messages flow through it, breaks whatever can break, and ends with a
 * table of what that cost. Exit code 0 only if all recovered and nothing was lost.
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
import { table, type Row } from './tour/table';

/** ms between two messages. */
const EVERY = 5;
/** ms of peace in front of each disruption, and behind the last. */
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

  console.log(`\nA message every ${String(EVERY)} ms; now things go wrong:\n`);
  const shown = progress(queue, ledger);
  const done: {
    readonly disruption: Disruption;
    readonly recovered: Row['recovered'];
    readonly from: number;
    readonly deletedAt: number;
  }[] = [];
  try {
    for (const disruption of DISRUPTIONS) {
      const from = ledger.next;
      const recovered =
        disruption.control && broker.how === 'url' ? 'not tried' : await disrupt(disruption, scene, ledger);
      done.push({ disruption, recovered, from, deletedAt: disruption.sinks ? performance.now() : -Infinity });
      const time =
        typeof recovered === 'number'
          ? `recovered in ${String(Math.round(recovered))} ms`
          : (recovered ?? 'NOT RECOVERED');
      shown.line(`  ${disruption.title}: ${time}`);
    }
    await pause(PEACE);
    stopSending.next();
    await settled(ledger);
  } finally {
    // Also when a disruption could not be brought about: else the process would never end.
    stopSending.next();
    shown.stop();
    stopReceiving.next();
  }
  await received;

  const rows = done.map(({ disruption, recovered, from, deletedAt }, i): Row => {
    const to = done[i + 1]?.from ?? ledger.next;
    return { title: disruption.title, recovered, counts: ledger.counts(from, to, deletedAt) };
  });
  return report(rows, ledger);
}

/** Breaks, and waits for the next new message; the median if it is done several times. Undefined: it never came. */
async function disrupt({ act, times = 1 }: Disruption, scene: Scene, ledger: Ledger): Promise<number | undefined> {
  const gaps: number[] = [];
  for (let i = 0; i < times; i++) {
    await pause(PEACE);
    const since = await act(scene);
    const arrived = await Promise.race([ledger.received(since), pause(PATIENCE, undefined, { ref: false })]);
    if (arrived === undefined) return undefined;
    gaps.push(arrived - since);
  }
  return median(gaps);
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
  const recovered = rows.every((row) => row.recovered !== undefined);
  console.log(`\n${table(rows)}\n`);
  console.log('Duplicates are what was in flight when a link was lost; each has the messageId of its first copy.');
  if (sunk > 0)
    console.log(`${String(sunk)} more were confirmed into the queue while it was being deleted, and went with it.`);
  for (const failure of new Set(ledger.failures)) console.log(`Not confirmed: ${failure}`);
  const good = recovered && lost === 0 && failed === 0;
  console.log(good ? 'All recovered, nothing lost.' : 'NOT GOOD: see above.');
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
