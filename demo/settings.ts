import { parseArgs } from 'node:util';

/** The broker and the queue of the demos: from flags, from the environment, or as `npm run dev` starts them. */
export function settings(): { readonly url: string; readonly queue: string } {
  const { values } = parseArgs({ options: { url: { type: 'string' }, queue: { type: 'string' } } });
  return {
    url: values.url ?? process.env['AMQP_URL'] ?? 'amqp://guest:guest@127.0.0.1:5672',
    queue: values.queue ?? process.env['AMQP_QUEUE'] ?? 'instance-queue-demo',
  };
}
