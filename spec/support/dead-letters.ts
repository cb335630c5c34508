import { type Bystander } from './brokers/bystander';
import { eventually } from './waiting';

/** A queue, the queue of its dead letters, and how to fill that. */
export interface DeadLetterQueue {
  readonly name: string;
  readonly dead: string;
  /** Lets this many messages, numbered from 0 on as bodies and in their ids `m0` …, die by rejection. */
  fill(count: number, body?: (i: number) => string, headers?: object): Promise<void>;
}

/** Requests that are sent before the first is answered. */
const TOGETHER = 500;

export async function deadLetterQueue(bystander: Bystander, args: object = {}): Promise<DeadLetterQueue> {
  const dead = await bystander.declareQueue({ arguments: args });
  const name = await bystander.declareQueue({ deadLetterExchange: '', deadLetterRoutingKey: dead });
  const fill: DeadLetterQueue['fill'] = async (count, body = String, headers = {}) => {
    const before = (await bystander.count(dead)).ready;
    await bystander.onChannel(async (channel) => {
      for (let i = 0; i < count; i++) {
        channel.publish('', name, Buffer.from(body(i)), { messageId: `m${i}`, persistent: true, headers });
      }
      await channel.waitForConfirms();
      for (let rest = count; rest > 0; rest -= TOGETHER) {
        const gets = Array.from({ length: Math.min(rest, TOGETHER) }, () => channel.get(name));
        for (const got of await Promise.all(gets)) if (got) channel.reject(got, false);
      }
    });
    await eventually(async () => (await bystander.count(dead)).ready === before + count);
  };
  return { name, dead, fill };
}
