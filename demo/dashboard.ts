/**
 * `npm run demo:dashboard`: a service on a RabbitMQ, and the dashboard of the library with buttons that inject faults. Ctrl-C
 * undoes active faults, drains, and prints totals. Exit code 0 only if nothing was lost.
 */
import { InstanceQueue } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { startBroker } from '../compose/broker';
import { FaultProxy } from 'instance-queue/testing';
import { say, shutdown } from './console';
import { Books, type Balance } from './dashboard/books';
import { LinkRoles } from './dashboard/link-roles';
import { Meter } from './dashboard/meter';
import { Runner } from './dashboard/runner';
import type { Scene } from './dashboard/scene';
import { DashboardServer } from './dashboard/server';
import { dashboardSettings } from './dashboard/settings';
import { Traffic } from './dashboard/traffic';
import { TROUBLES } from './dashboard/troubles';
import { PanelWatch } from './dashboard/panel-watch';
import { deleteQueue } from './delete-queue';

/** The name of the connections at the broker, followed by `.producer` and `.consumer`. */
const NAME = 'dashboard';
/** Seconds: short, so that a black hole is noticed while you watch. */
const HEARTBEAT = 2;
/** ms at the end for messages in flight. */
const PATIENCE = 15_000;

async function main(): Promise<boolean> {
  const { port, own } = dashboardSettings();
  const broker = await startBroker({ say: console.log, private: own });
  const proxy = await FaultProxy.before(broker.url);
  const links = new LinkRoles(proxy, NAME);
  const queue = new InstanceQueue({
    url: proxy.url(broker.url),
    name: NAME,
    heartbeat: HEARTBEAT,
  });
  const queueName = `instance-queue-dashboard-${String(process.pid)}`;
  const [books, meter] = [new Books(), new Meter()];
  try {
    await queue.connect();
    const traffic = new Traffic(queue, queueName, books, meter);
    return await serve({ broker, proxy, links, queue, queueName, traffic, books }, meter, port);
  } finally {
    await queue.close({ drainTimeout: 1000 });
    if (broker.how === 'url') await deleteQueue(broker.url, queueName).catch(() => undefined);
    await proxy.close();
    await broker.stop();
  }
}

async function serve(scene: Scene, meter: Meter, port: number): Promise<boolean> {
  const { queue, traffic, books } = scene;
  const runner = new Runner(scene, TROUBLES);
  const watch = new PanelWatch(scene, runner, meter);
  const server = await DashboardServer.start({ queue, watch, runner, traffic }, port).catch((error: unknown) => {
    watch.end(true);
    throw error;
  });
  traffic.start();
  console.log(
    `\n  Dashboard   ${server.url}\n\n  Ctrl-C ends it: active faults are undone, messages under way arrive, and the totals are printed.\n`,
  );

  await lastValueFrom(shutdown());
  say('closing');
  watch.end(false);
  await runner.stop();
  await traffic.settle(PATIENCE);
  await traffic.stop();
  books.close();
  const balance = books.balance();
  watch.end(true);
  // The page learns of the end before its connection closes.
  await queue.close({ drainTimeout: 1000 });
  await server.close();
  say(summary(balance));
  return balance.lost === 0 && balance.failed === 0 && balance.open === 0;
}

function summary({ sent, confirmed, received, duplicates, lost, sunk, failed, open }: Balance): string {
  const also = [
    ...(sunk > 0 ? [`${String(sunk)} went with a queue that was deleted`] : []),
    ...(failed > 0 ? [`${String(failed)} were refused`] : []),
    ...(open > 0 ? [`${String(open)} were still under way`] : []),
  ];
  const counts = { sent, confirmed, received, duplicates, lost };
  const text = Object.entries(counts).map(([what, count]) => `${what} ${String(count)}`);
  return [text.join(', '), ...also].join('; ');
}

main().then(
  (good) => (process.exitCode = good ? 0 : 1),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
