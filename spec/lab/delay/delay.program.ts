/**
 * `npm run delays`: 100,000 messages with random delays from 100 ms to an hour: those of up to a minute on a real RabbitMQ, the others on
 * the broker in memory, in virtual time. `DELAYS` is their number, `RATE` how many are sent per second (250), `DELAY_IN` the kind of queue
 * (quorum, classic), `RABBITMQ_IMAGE` names a broker. `npm run delays -- short` and `-- long`: one of the two. `-- cluster`: delays of up to
 * a minute on a cluster of three nodes, each of which is killed once (25 per second, which takes over an hour: three nodes on a machine with
 * two cores manage little more; `CONFIRM_TIMEOUT`: ms after which a node tries again to hand a dead letter over). `-- cost`: what a delayed
 * message costs the broker. Exit code 1 if a message was lost or early, or one in a hundred was late by more than a second.
 */
import { InstanceQueue } from 'instance-queue';
import { startBroker } from '../../../compose/broker';
import { startCluster } from '../../../compose/local-cluster';
import { localPrograms } from '../../../compose/local-programs';
import { cost } from './cost';
import { confirmingWithin, overACluster } from './over-a-cluster';
import { complaint, delays, line, randomDelays } from './random-delays';
import { virtually } from './virtual-time';

const [SHORTEST, MINUTE, HOUR] = [100, 60_000, 3_600_000];
const say = (text: string): void => console.log(text);

async function main(scene: string | undefined): Promise<readonly string[]> {
  const { DELAYS = '100000', RATE = scene === 'cluster' ? '25' : '250', DELAY_IN = 'quorum' } = process.env;
  const [count, rate] = [Number(DELAYS), Number(RATE)];
  const delayIn = DELAY_IN === 'classic' ? 'classic' : 'quorum';
  const all = randomDelays(count, SHORTEST, HOUR);
  if (scene === 'long') return inVirtualTime(all, delayIn);
  if (scene === 'cluster') {
    const { CONFIRM_TIMEOUT } = process.env;
    const extras = CONFIRM_TIMEOUT === undefined ? {} : confirmingWithin(Number(CONFIRM_TIMEOUT));
    const cluster = await startCluster(await localPrograms(say), extras);
    try {
      const lateness = await overACluster(cluster, randomDelays(count, SHORTEST, MINUTE), {
        rate,
        // RabbitMQ 3.10 takes up to twice the three minutes after which it hands a dead letter over again.
        patience: 420_000,
        say,
      });
      say(line(`cluster, each node killed once`, lateness));
      return complaint('cluster', lateness);
    } finally {
      await cluster.stop();
    }
  }
  const broker = await startBroker({ private: true, say });
  try {
    if (scene === 'cost') {
      await cost(broker, say);
      return [];
    }
    const short = all.filter((delay) => delay <= MINUTE);
    const queue = new InstanceQueue({ url: broker.url, producer: { delayIn } });
    await queue.admin.declare({ queues: [{ name: 'delayed', type: delayIn }] });
    const real = await delays(queue, 'delayed', short, { rate });
    await queue.close();
    say(line(`RabbitMQ ${broker.version}, ${delayIn}, to 1 min`, real));
    return [...complaint('real', real), ...(scene === 'short' ? [] : await inVirtualTime(all, delayIn))];
  } finally {
    await broker.stop();
  }
}

async function inVirtualTime(all: readonly number[], delayIn: 'quorum' | 'classic'): Promise<readonly string[]> {
  const long = all.filter((delay) => delay > MINUTE);
  const virtual = await virtually(long, delayIn);
  say(line(`in memory, ${delayIn}, 1 min to 1 h`, virtual));
  return complaint('virtual', virtual);
}

main(process.argv[2]).then(
  (complaints) => {
    for (const one of complaints) say(one);
    say(complaints.length === 0 ? 'Nothing lost, nothing early, nothing late.' : 'NOT GOOD: see above.');
    process.exitCode = complaints.length === 0 ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
