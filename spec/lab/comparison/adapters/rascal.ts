import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { Numbered } from '../adapter';
import { serve } from '../serve';

/** The part of rascal that is used here: it has no types. */
interface Rascal {
  readonly BrokerAsPromised: { create(config: object): Promise<Broker> };
  withDefaultConfig(config: object): object;
}
interface Broker extends EventEmitter {
  /** Events: `success`, `return`, `error`. */
  publish(name: string, message: object): Promise<EventEmitter>;
  subscribe(name: string): Promise<Subscription>;
}
interface Subscription extends EventEmitter {
  on(event: 'message', listener: (message: unknown, content: Numbered, ackOrNack: () => void) => void): this;
  on(event: 'error' | 'subscribed', listener: () => void): this;
}

const { BrokerAsPromised, withDefaultConfig } = createRequire(__filename)('rascal') as Rascal;

/** rascal publishes only to exchanges in its configuration. */
const MISSING = 'there-is-no-such-exchange';

/**
 * As in its README: `withDefaultConfig`, with confirms, persistent and mandatory messages, a publish timeout of 10 s, and at least
 * 1 s between attempts. A returned message counts as an error, because the application has to handle it.
 */
serve(async ({ url, queue, names, heartbeat, prefetch, received }) => {
  const connectTo = async (name: string): Promise<Broker> => {
    const connection = {
      url: `${url}?heartbeat=${heartbeat}`,
      socketOptions: { clientProperties: { connection_name: name } },
    };
    const vhost = {
      connection,
      queues: [queue],
      exchanges: { [MISSING]: { assert: false, check: false } },
      publications: { numbered: { queue }, astray: { exchange: MISSING } },
      subscriptions: { numbered: { queue, prefetch } },
    };
    const broker = await BrokerAsPromised.create(withDefaultConfig({ vhosts: { '/': vhost } }));
    return broker.on('error', () => undefined);
  };
  const [producing, consuming] = await Promise.all([connectTo(names.producer), connectTo(names.consumer)]);

  const publish = async (name: string, message: object): Promise<void> => {
    const publication = await producing.publish(name, message);
    await new Promise<void>((resolve, reject) => {
      publication.on('success', () => resolve());
      publication.on('error', reject);
      publication.on('return', () => reject(new Error('returned')));
    });
  };

  const subscription = await consuming.subscribe('numbered');
  await new Promise<void>((resolve) => {
    subscription.on('error', () => undefined);
    subscription.on('subscribed', resolve);
    subscription.on('message', (_message, { n }, ackOrNack) => {
      void Promise.resolve(received(n, undefined)).then(ackOrNack);
    });
  });
  return { send: (message) => publish('numbered', message), aim: () => Promise.resolve(() => publish('astray', {})) };
});
