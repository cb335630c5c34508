import { FaultProxy } from 'instance-queue/testing';
import { until } from '../../support/waiting';
import { receiver, type Receiver, type Traffic } from './traffic';
import type { Scene, Trial } from './trials';

/** An instance that can be cut off from all nodes at once. */
interface Instance extends Receiver {
  cutOff(): void;
  restore(): Promise<void>;
}

/** One of two consumers of which the broker lets one consume; the other takes over. */
export async function instance(name: string, urls: readonly string[], traffic: Traffic): Promise<Instance> {
  const ways = await Promise.all(urls.map(async (url) => ({ url, proxy: await FaultProxy.before(url) })));
  const proxies = ways.map(({ proxy }) => proxy);
  const inner = receiver(
    name,
    ways.map(({ url, proxy }) => proxy.url(url)),
    traffic.spec,
    traffic.ledger,
  );
  await up(inner);
  return {
    ...inner,
    cutOff() {
      for (const proxy of proxies) {
        proxy.refuse();
        proxy.cut();
      }
    },
    async restore() {
      await Promise.all(proxies.map((proxy) => proxy.restore()));
      await up(inner);
    },
    async end() {
      await inner.end();
      await Promise.all(proxies.map((proxy) => proxy.close()));
    },
  };
}

const up = ({ queue }: Receiver): Promise<unknown> =>
  until(queue.health$, ({ status, consumers }) => status === 'up' && consumers.length > 0, 60_000);

/** The instance that receives, and the one that waits. */
function roles({ receivers, traffic }: Scene): { readonly active: Receiver; readonly standby: Receiver } {
  const active = receivers.find(({ name }) => name === traffic.ledger.latest);
  const standby = receivers.find((other) => other !== active);
  if (!active || !standby) throw new Error('Expected two receivers, one of them active');
  return { active, standby };
}

export const CUT_OFF: Trial = {
  title: 'the active consumer cut off',
  async strike(scene) {
    const { active, standby } = roles(scene);
    if (!isInstance(active)) throw new Error('Expected an instance that can be cut off');
    const since = performance.now();
    active.cutOff();
    const gap = await scene.traffic.ledger.gap(since, standby.name);
    await active.restore();
    return gap;
  },
};

export const CLOSED: Trial = {
  title: 'the active consumer closed',
  async strike({ cluster, traffic, receivers }) {
    const { active, standby } = roles({ cluster, traffic, receivers });
    const since = performance.now();
    const [gap] = await Promise.all([traffic.ledger.gap(since, standby.name), active.end()]);
    receivers[receivers.indexOf(active)] = await instance(active.name, cluster.urls, traffic);
    return gap;
  },
};

const isInstance = (receiver: Receiver): receiver is Instance => 'cutOff' in receiver;
