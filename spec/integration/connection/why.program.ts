/** Dials each URL of its arguments (JSON) once, and says as JSON why it could not connect. */
import { Connection, type ConnectionOptions } from '../../../lib/index';

async function why(options: ConnectionOptions): Promise<{ message: string; retryable?: boolean }> {
  const connection = new Connection({ ...options, reconnect: { initialAttempts: 1 } });
  try {
    await connection.connect();
    return { message: `connected to ${JSON.stringify(connection.state)}` };
  } catch (error) {
    const { message, retryable } = error as Error & { retryable: boolean };
    return { message, retryable };
  } finally {
    await connection.close();
  }
}

void Promise.all((JSON.parse(process.argv[2] ?? '[]') as ConnectionOptions[]).map(why)).then((told) => {
  process.stdout.write(JSON.stringify(told));
});
