import { connect } from 'amqplib';

/** Deletes a queue with all that is in it, behind the back of whoever uses it. Resolves with when the broker said so. */
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
