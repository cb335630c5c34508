import { connect } from 'amqplib';
import type { Duplex } from 'node:stream';
import { encodeContent, encodeMethod } from '../../../support/frames/methods';
import { serve } from './serve';

const FRAME_MAX = 131_072;
/** Messages per write. */
const CHUNK = 100;
const BODY = 3;
/** The length of a UUID. */
const MESSAGE_ID = '00000000-0000-4000-8000-000000000000';
const SAME = { contentType: 'application/octet-stream', messageId: MESSAGE_ID };

/**
 * The upper bound for any client on this machine: frames encoded in advance, written a hundred messages at a time; deliveries that
 * are counted, but neither decoded nor acked. amqplib does the handshake only. `same-properties`: its messages are as this library sends
 * them, so that what remains is the broker's.
 */
const same = process.argv.includes('same-properties');

serve(async (url) => {
  const model = await connect(url, { noDelay: true });
  const { stream } = model.connection as unknown as { readonly stream: Duplex };
  return {
    async sender(queue, { persistent }) {
      const channel = await model.createConfirmChannel();
      const number = (channel as unknown as { readonly ch: number }).ch;
      const waiting: (() => void)[] = [];
      let written = 0;
      let first = 1;
      let message: Buffer | undefined;
      const write = (): void => {
        const due = waiting.length + first - 1 - written;
        if (due === 0 || !message) return;
        stream.write(Buffer.concat(Array.from({ length: due }, () => message ?? Buffer.alloc(0))));
        written += due;
      };
      channel.on('ack', ({ deliveryTag, multiple }: { deliveryTag: number; multiple: boolean }) => {
        // With one queue and one connection, the order of the broker is that of the sends.
        const count = multiple ? deliveryTag - first + 1 : 1;
        first += count;
        for (const confirmed of waiting.splice(0, count)) confirmed();
      });
      return (body, confirmed) => {
        message ??= Buffer.concat([
          encodeMethod('basic.publish', number, { exchange: '', routingKey: queue, mandatory: same }),
          encodeContent(number, { deliveryMode: persistent ? 2 : 1, ...(same && SAME) }, body, FRAME_MAX),
        ]);
        waiting.push(confirmed);
        if (waiting.length + first - 1 - written === CHUNK) write();
        else if (waiting.length + first - 1 - written === 1) setImmediate(write);
      };
    },
    async receiver(queue, _prefetch, work) {
      // A connection of its own: its socket is read without amqplib from here on.
      const own = await connect(url, { noDelay: true });
      own.on('error', () => undefined);
      const channel = await own.createChannel();
      const { connection } = own as unknown as { readonly connection: { readonly stream: Duplex; rest: Buffer } };
      const socket = connection.stream;
      let rest: Buffer = Buffer.alloc(0);
      const count = (chunk: Buffer): void => {
        const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        let at = 0;
        while (bytes.length - at >= 7) {
          const size = bytes.readUInt32BE(at + 3);
          const end = at + 8 + size;
          if (end > bytes.length) break;
          // The last body frame of a message: those before it are full.
          if (bytes[at] === BODY && size < FRAME_MAX - 8) void work();
          at = end;
        }
        rest = bytes.subarray(at);
      };
      await channel.consume(
        queue,
        () => {
          void work();
        },
        { noAck: true },
      );
      socket.removeAllListeners('readable');
      rest = connection.rest;
      socket.on('data', count);
      socket.resume();
      return async () => {
        await new Promise<void>((resolve) => {
          socket.removeAllListeners('data');
          socket.once('close', () => {
            resolve();
          });
          socket.destroy(new Error('done'));
        });
      };
    },
    close: () => model.close(),
  };
});
