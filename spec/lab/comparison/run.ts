/**
 * `npm run faults`: injects the same faults into our own client and four others, and prints the results as a table.
 *
 *   --clients ours,rascal   some of the clients; all by default
 *   --faults cut,refused    some of the faults; all by default
 *   --repeat 3              repetitions of each experiment: gaps and errors are medians, lost messages are summed
 *   --quick                 our own client alone
 *
 * Exit code 1 if our own client lost a message, failed, hung, crashed, or exceeded a limit.
 */
import { startBroker } from '../../../compose/broker';
import { CLIENTS, type ClientName } from './clients';
import { experiment, type Result } from './experiment';
import { FAULTS } from './faults/all';
import { settings } from './settings';
import { cell, summarise, type Summary } from './summary';
import { markdown } from './table';

async function main(): Promise<boolean> {
  const { clients, faults, repeat } = settings(process.argv.slice(2));
  const broker = await startBroker({ private: true, say: (line) => console.error(line) });
  try {
    const rows: string[][] = [];
    const misses: string[] = [];
    for (const name of faults) {
      const fault = FAULTS[name];
      const row: string[] = [fault.title];
      for (const client of clients) {
        const results: Result[] = [];
        for (let i = 0; i < repeat; i++) results.push(await experiment(broker, CLIENTS[client].program, fault));
        const summary = summarise(fault, results);
        console.error(`${fault.title} — ${CLIENTS[client].title}: ${told(summary)}`);
        row.push(cell(summary));
        if (client === 'ours') misses.push(...summary.misses.map((miss) => `${fault.title}: ${miss}`));
      }
      rows.push(row);
    }
    const heads = ['publish errors / gap', ...clients.map((client: ClientName) => CLIENTS[client].title)];
    console.log(
      `\nRabbitMQ ${broker.version}, Node ${process.version}, ${repeat} × each\n\n${markdown([heads, ...rows])}\n`,
    );
    for (const miss of misses) console.log(`Missed: ${miss}`);
    return misses.length === 0;
  } finally {
    await broker.stop();
  }
}

function told(summary: Summary): string {
  return [cell(summary), ...summary.misses.map((miss) => `[${miss}]`)].join(' ');
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
