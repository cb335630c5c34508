import type { GetMessage } from 'amqplib';
import type { Bystander } from './bystander';
import { eventually } from './waiting';

/** Takes out what lies in a queue now, in order. */
export function emptied(bystander: Bystander, queue: string): Promise<GetMessage[]> {
  return bystander.ask(async (channel) => {
    const all: GetMessage[] = [];
    for (;;) {
      const got = await channel.get(queue, { noAck: true });
      if (got === false) return all;
      all.push(got);
    }
  });
}

/** The same once so many are there. */
export async function arrivals(bystander: Bystander, queue: string, count: number): Promise<GetMessage[]> {
  await eventually(async () => (await bystander.count(queue)).ready >= count);
  return emptied(bystander, queue);
}

/** Their JSON bodies. */
export function bodies(messages: readonly GetMessage[]): unknown[] {
  return messages.map(({ content }) => JSON.parse(content.toString()) as unknown);
}

/** Their message ids. */
export function ids(messages: readonly GetMessage[]): unknown[] {
  return messages.map(({ properties }) => properties.messageId as unknown);
}
