/** Many connections in one process: the time to connect, and to connect again after a cut, and their memory. */
import { filter, firstValueFrom } from 'rxjs';
import { Connection } from '../shipped';
import { median } from '../statistics';
import { FaultProxy, held, measure, type Row } from './report';

const COUNTS = [1, 10, 100];
const CUTS = 3;

measure(async (url) => {
  const rows: Row[] = [];
  for (const count of COUNTS) rows.push([count.toLocaleString('en'), ...(await connections(url, count))]);
  return rows;
});

async function connections(url: string, count: number): Promise<Row> {
  const each = await memoryOf(url, count);
  const proxy = await FaultProxy.before(url);
  const began = performance.now();
  const all = await open(proxy.url(url), count);
  const first = performance.now() - began;
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
  return [first.toFixed(0), median(again).toFixed(0), each.toFixed(0)];
}

async function open(url: string, count: number): Promise<InstanceType<typeof Connection>[]> {
  const all = Array.from({ length: count }, () => new Connection(url));
  await Promise.all(all.map((connection) => connection.connect()));
  return all;
}

/** KiB each. Without the proxy, which holds a good part itself. */
async function memoryOf(url: string, count: number): Promise<number> {
  const before = held();
  const all = await open(url, count);
  const each = (held() - before) / count;
  await Promise.all(all.map((connection) => connection.close()));
  return each;
}
