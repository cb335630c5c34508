/**
 * `npm run cluster`: three nodes on this machine, 250 confirmed messages a second through a quorum queue, and one node after the
 * other is stopped. Prints a table. Exit code 1 if a message was lost, rejected or hung, or a gap was too long.
 */
import { startCluster } from '../../../compose/local-cluster';
import { localPrograms } from '../../../compose/local-programs';
import { oneReceiver, singleActive } from './scenes';
import { CLOSED, CUT_OFF } from './single-active';
import { spread } from './spread';
import { CONNECTION, LEADER, NODE, RESTART, inTurns } from './trials';
import { complaints, table } from './verdict';

/** The number of clients, of which each node gets about a third. */
const CLIENTS = 90;
/** Fewer clients on one node than this occur by chance in one of ten thousand runs. */
const FEWEST = 13;

const say = (line: string): void => console.log(line);

async function main(): Promise<boolean> {
  const began = performance.now();
  const cluster = await startCluster(await localPrograms(say));
  say(
    `Three nodes of RabbitMQ ${cluster.nodes[0]?.version ?? ''} after ${((performance.now() - began) / 1000).toFixed(0)} s`,
  );
  try {
    const clients = await spread(cluster, CLIENTS);
    say(`${CLIENTS} clients with all three endpoints: ${clients.join(', ')} on the nodes\n`);
    const rows = [
      ...(await oneReceiver(
        cluster,
        [...inTurns(3, NODE), ...inTurns(5, CONNECTION, LEADER), ...inTurns(3, RESTART)],
        say,
      )),
      ...(await singleActive(cluster, [...inTurns(5, CUT_OFF, CLOSED), ...inTurns(2, LEADER)], say)),
    ];
    say(`\n${table(rows)}\n`);
    const wrong = rows.flatMap(complaints);
    if (Math.min(...clients) < FEWEST) wrong.push(`${CLIENTS} clients are not spread: ${clients.join(', ')}`);
    for (const complaint of wrong) say(complaint);
    say(wrong.length === 0 ? 'Nothing lost, nothing rejected, nothing hung.' : 'NOT GOOD: see above.');
    return wrong.length === 0;
  } finally {
    await cluster.stop();
  }
}

main().then(
  (good) => (process.exitCode = good ? 0 : 1),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
