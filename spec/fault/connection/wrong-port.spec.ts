import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { Connection } from 'instance-queue';
import { closeAll, closing } from '../../support/closing';
import { rejection } from '../../support/waiting';

describe('an endpoint that is not an AMQP 0-9-1 broker', () => {
  afterEach(closeAll);

  async function portOf(server: Server): Promise<number> {
    closing({
      close: () =>
        new Promise<void>((resolve) =>
          server.close(() => {
            resolve();
          }),
        ),
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }
  /** A server that answers the first data with these bytes. */
  const answering = (hex: string): Server =>
    createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.from(hex, 'hex')));
    });

  it.each<[string, () => Server, RegExp]>([
    ['a web server', () => createHttpServer(), /speaks HTTP.*5672/],
    // The alert of a TLS server that gets something other than a handshake.
    ['a TLS port', () => answering('15030100020246'), /speaks TLS.*amqps:/],
    ['an AMQP 1.0 broker', () => answering('414d515000010000'), /speaks AMQP 1\.0\.0/],
    ['another service', () => answering('5353482d322e302d4f70656e5353480d0a'), /not AMQP/],
  ])('is recognised by its answer: %s', async (_name, make, words) => {
    const port = await portOf(make());
    const connection = closing(
      new Connection({ url: `amqp://guest:secret@127.0.0.1:${String(port)}`, reconnect: { initialAttempts: 1 } }),
    );
    const error = await rejection(connection.connect());
    expect(error).toMatchObject({ code: 'CONNECT_FAILED' });
    expect((error as Error).message).toMatch(words);
    expect((error as Error).message).not.toContain('secret');
  });
});
