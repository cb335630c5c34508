/** Many consumers on one connection: the time to attach, and to attach again after a cut, and their memory. */
import { filter, firstValueFrom } from 'rxjs';
import { Connection, Consumer } from '../shipped';
import { median } from '../statistics';
import { FaultProxy, held, measure, type Row } from './report';

const COUNTS = [1, 10, 100, 1000, 5000];
/** What RabbitMQ allows on a connection unless it is configured otherwise; the library needs some for checks. */
const CHANNELS = 2000;
const CUTS = 3;

measure(async (url, scale) => {
  const most = Math.max(100, 5000 * scale);
  const rows: Row[] = [];
  for (const count of COUNTS.filter((each) => each <= most)) {
    const label = count.toLocaleString('en');
    if (count <= CHANNELS || process.argv.includes('unlimited')) rows.push([label, ...(await consumers(url, count))]);
    else rows.push([`${label}: left out, the broker allows 2,047 channels`, '–', '–', '–']);
  }
  return rows;
});

async function consumers(url: string, count: number): Promise<Row> {
  const proxy = await FaultProxy.before(url);
  const connection = new Connection(proxy.url(url));
  await connection.connect();
  const before = held();
  const began = performance.now();
  const all = Array.from({ length: count }, (_, i) => {
    const consumer = new Consumer(connection, { queue: { name: `bench-many-${i}`, expires: 60_000 } });
    consumer.deliveries$.subscribe();
    return consumer;
  });
  const attached = (epoch: number): Promise<unknown> =>
    Promise.all(
      all.map(({ state$ }) =>
        firstValueFrom(state$.pipe(filter((state) => state.status === 'attached' && state.epoch >= epoch))),
      ),
    );
  await attached(1);
  const first = performance.now() - began;
  const each = (held() - before) / count;
  const again: number[] = [];
  for (let cuts = 1; cuts <= CUTS; cuts++) {
    const cut = performance.now();
    proxy.cut();
    await attached(cuts + 1);
    again.push(performance.now() - cut);
  }
  await connection.close();
  await proxy.close();
  return [first.toFixed(0), median(again).toFixed(0), each.toFixed(0)];
}
