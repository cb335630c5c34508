import { addressOf, askAmqp } from './amqp-answer';
import type { UrlHandle } from './broker-handle';
import type { BrokerHost } from './broker-host';

/** Checks that the broker of `AMQP_URL` answers. What it rejects with holds no credentials. */
export async function useUrl(url: string): Promise<UrlHandle> {
  if (!URL.canParse(url) || !/^amqps?:$/.test(new URL(url).protocol)) {
    throw new Error('Expected AMQP_URL to be a url such as amqp://user:password@host:5672/vhost, but it is not one');
  }
  try {
    const { version } = await askAmqp(url, 10_000);
    return { how: 'url', url, version };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Expected the broker of AMQP_URL to answer at ${addressOf(url)}, but: ${reason}\n` +
        'Start it, correct AMQP_URL, or unset AMQP_URL to have a broker started.',
      { cause: error },
    );
  }
}

/** It cannot be stopped, so removing it does nothing: it is not ours. */
export function urlHost(handle: UrlHandle): BrokerHost {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new Error(
        `The broker at ${addressOf(handle.url)} came from AMQP_URL: it is used, but not steered. ` +
          'Unset AMQP_URL, or ask for a private broker, to have one that may be stopped and killed.',
      ),
    );
  return { ctl: refuse, kill: refuse, start: refuse, remove: () => Promise.resolve() };
}
