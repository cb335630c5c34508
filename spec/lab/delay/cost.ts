import { InstanceQueue } from 'instance-queue';
import type { Broker } from '../../../compose/broker';
import { planOf } from '../../../lib/delay/levels';
import { DelayLedger, pause, randomDelays, warmUp } from './random-delays';

const COUNT = 10_000;

/** CPU time that the broker has used, ms. */
async function cpuOf(broker: Broker): Promise<number> {
  return Number(await broker.ctl('eval', 'element(1, erlang:statistics(runtime)).'));
}

/** What delayed messages cost the broker, beside messages without a delay: CPU time of each, and how many it takes in a second. */
export async function cost(broker: Broker, say: (line: string) => void): Promise<void> {
  for (const kind of ['quorum', 'classic'] as const) {
    const queue = new InstanceQueue({ url: broker.url, producer: { delayIn: kind } });
    const name = `cost-${kind}`;
    await queue.admin.declare({ queues: [{ name, type: kind }] });
    const cases: readonly (readonly [string, readonly number[]])[] = [
      ['no delay', Array<number>(COUNT).fill(0)],
      ['1 s, all at once', Array<number>(COUNT).fill(1000)],
      ['0.1 to 10 s, random', randomDelays(COUNT, 100, 10_000)],
    ];
    for (const [what, delays] of cases) {
      const ledger = new DelayLedger();
      const receiver = ledger.receive(queue, name, (error) => {
        throw error;
      });
      await warmUp(queue, name, 10_000);
      await pause(11_000);
      const [cpu, began] = [await cpuOf(broker), performance.now()];
      await Promise.all(delays.map((delay) => ledger.send(queue, name, delay)));
      const confirmed = performance.now() - began;
      while (ledger.outstanding > 0) await pause(50);
      const spent = (await cpuOf(broker)) - cpu;
      const hops = delays.reduce((sum, delay) => sum + (delay === 0 ? 0 : planOf(delay).levels.length), 0);
      say(
        `RabbitMQ ${broker.version} ${kind.padEnd(8)} ${what.padEnd(22)} levels ${(hops / COUNT).toFixed(1)}   CPU ${(spent / COUNT).toFixed(2)} ms per message   confirmed ${((COUNT / confirmed) * 1000).toFixed(0)}/s`,
      );
      receiver.unsubscribe();
    }
    await queue.close();
  }
}
