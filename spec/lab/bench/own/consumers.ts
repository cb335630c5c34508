/** Many consumers on one connection: the time to attach, and to attach again after a cut. */
import { Connection, Consumer } from '../shipped';
import { FaultProxy } from 'instance-queue/testing';
import { filter, firstValueFrom } from 'rxjs';
import { measure, rss, type Figure } from './report';

const COUNTS = [1, 10, 100, 1000];

measure(async (url) => {
  const figures: Figure[] = [];
  for (const count of COUNTS) figures.push(await consumers(url, count));
  return figures;
});

async function consumers(url: string, count: number): Promise<Figure> {
  const proxy = await FaultProxy.before(url);
  const connection = new Connection(proxy.url(url));
  await connection.connect();
  const before = rss();
  const began = performance.now();
  const all = Array.from({ length: count }, (_, i) => {
    const consumer = new Consumer(connection, { queue: { name: `bench-many-${String(i)}`, expires: 60_000 } });
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
  const held = ((rss() - before) * 1024) / count;
  const again: number[] = [];
  for (let epoch = 2; epoch <= 4; epoch++) {
    const cut = performance.now();
    proxy.cut();
    await attached(epoch);
    again.push(performance.now() - cut);
  }
  await connection.close();
  await proxy.close();
  const times = again.map((ms) => ms.toFixed(0)).join(', ');
  return {
    what: `${count.toLocaleString('en')} consumers on one connection`,
    value: `attached in ${first.toFixed(0)} ms, again after cuts in ${times} ms, ${held.toFixed(0)} KiB each`,
  };
}
