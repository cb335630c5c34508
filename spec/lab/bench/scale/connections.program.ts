/** Many connections in one process: the time to connect, and to connect again after a cut, and their memory. */
import { filter, firstValueFrom } from 'rxjs';
import { Connection } from '../shipped';
import { median } from '../statistics';
import { FaultProxy, measure, rss, type Row } from './report';

const COUNTS = [1, 10, 100];
const CUTS = 3;

measure(async (url) => {
  const rows: Row[] = [];
  for (const count of COUNTS) rows.push([count.toLocaleString('en'), ...(await connections(url, count))]);
  return rows;
});

async function connections(url: string, count: number): Promise<Row> {
  const proxy = await FaultProxy.before(url);
  const before = rss();
  const began = performance.now();
  const all = Array.from({ length: count }, () => new Connection(proxy.url(url)));
  await Promise.all(all.map((connection) => connection.connect()));
  const first = performance.now() - began;
  const held = ((rss() - before) * 1024) / count;
  const again: number[] = [];
  for (let cuts = 1; cuts <= CUTS; cuts++) {
    const cut = performance.now();
    proxy.cut();
    await Promise.all(
      all.map(({ state$ }) =>
        firstValueFrom(state$.pipe(filter((state) => state.status === 'connected' && state.epoch > cuts))),
      ),
    );
    again.push(performance.now() - cut);
  }
  await Promise.all(all.map((connection) => connection.close()));
  await proxy.close();
  return [first.toFixed(0), median(again).toFixed(0), held.toFixed(0)];
}
