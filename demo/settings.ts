import { parseArgs } from 'node:util';

/** Where the demos talk to, and through which queue: by flag, by environment, or as `npm run dev` sets it up. */
export function settings(): { readonly url: string; readonly queue: string } {
  const { values } = parseArgs({ options: { url: { type: 'string' }, queue: { type: 'string' } } });
  return {
    url: values.url ?? process.env['AMQP_URL'] ?? 'amqp://guest:guest@127.0.0.1:5672',
    queue: values.queue ?? process.env['AMQP_QUEUE'] ?? 'instance-queue-demo',
  };
}
