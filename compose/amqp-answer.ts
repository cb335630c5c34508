import { connect } from 'amqplib';
import { setTimeout as pause } from 'node:timers/promises';

/** What a broker says of itself when it accepts a login. */
export interface AmqpAnswer {
  readonly version: string;
}

/** Logs in once and out again. Rejects without naming the credentials of the url. */
export async function askAmqp(url: string, timeout = 5_000): Promise<AmqpAnswer> {
  try {
    const connection = await connect(url, {
      timeout,
      noDelay: true,
      clientProperties: { connection_name: 'instance-queue probe' },
    });
    connection.on('error', () => undefined);
    const { version } = connection.connection.serverProperties as { version?: unknown };
    await connection.close();
    return { version: typeof version === 'string' ? version : 'unknown' };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    // All that amqplib tells of the broker's 530.
    const refused = said.startsWith('Expected ConnectionOpenOk');
    // eslint-disable-next-line preserve-caught-error -- the text of the cause may hold the credentials
    throw new Error(
      refused
        ? 'it refused the virtual host, which may not exist or may not be open to this user'
        : withoutCredentials(said, url),
    );
  }
}

/** Asks again and again until the broker answers, the limit has passed, or `dead` gives a reason to stop waiting. */
export async function awaitAmqp(
  url: string,
  limit: number,
  dead?: () => string | undefined | Promise<string | undefined>,
): Promise<AmqpAnswer> {
  const deadline = performance.now() + limit;
  for (;;) {
    try {
      return await askAmqp(url);
    } catch (error) {
      const reason = await dead?.();
      if (reason !== undefined) throw new Error(reason, { cause: error });
      if (performance.now() > deadline) {
        const last = error instanceof Error ? error.message : String(error);
        throw new Error(
          `Expected AMQP to be answered at ${addressOf(url)} within ${limit} ms; the last try said: ${last}`,
          { cause: error },
        );
      }
      await pause(50);
    }
  }
}

/** Host, port and virtual host: what may be printed of a url. */
export function addressOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}

function withoutCredentials(text: string, url: string): string {
  const { username, password } = new URL(url);
  const secrets = [url, `${username}:${password}@`, password];
  return secrets.filter((secret) => secret.length > 1).reduce((safe, secret) => safe.replaceAll(secret, '***'), text);
}
