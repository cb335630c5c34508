import { connect } from 'amqplib';

/** Deletes a queue with its messages over a connection of its own. Resolves with the time at which the broker confirmed it. */
export async function deleteQueue(url: string, queue: string): Promise<number> {
  const connection = await connect(url);
  try {
    const channel = await connection.createChannel();
    await channel.deleteQueue(queue);
    return performance.now();
  } finally {
    await connection.close();
  }
}
