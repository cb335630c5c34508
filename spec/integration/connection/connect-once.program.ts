/** Tries each of the options in its argument (JSON) once, and writes as JSON why it could not connect. */
import { Connection, type ConnectionOptions } from '../../../lib/index';

async function connectOnce(options: ConnectionOptions): Promise<{ message: string; retryable?: boolean }> {
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

void Promise.all((JSON.parse(process.argv[2] ?? '[]') as ConnectionOptions[]).map(connectOnce)).then((results) => {
  process.stdout.write(JSON.stringify(results));
});
