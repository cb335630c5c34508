import { FaultProxy } from 'instance-queue/testing';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { closeAll, closing } from '../../support/closing';
import { eventually, rejection } from '../../support/waiting';

/** A server that sends back what it gets. */
async function echoServer(host: string): Promise<{ readonly port: number; readonly sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  closing({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

interface Client {
  readonly socket: Socket;
  /** Everything it received so far. */
  readonly received: () => string;
  /** How it ended; undefined: it has not. */
  readonly end: () => 'reset' | 'finished' | undefined;
}

async function clientOf(url: string): Promise<Client> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
  let received = '';
  let end: 'reset' | 'finished' | undefined;
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.on('error', () => (end = 'reset'));
  socket.on('end', () => (end ??= 'finished'));
  closing({ close: () => socket.destroy() });
  await once(socket, 'connect');
  return { socket, received: () => received, end: () => end };
}

async function through(host = '127.0.0.1') {
  const { port, sockets } = await echoServer(host);
  const url = `amqp://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  const proxy = closing(await FaultProxy.before(url));
  return { proxy, url, sockets };
}

afterEach(closeAll);

describe('a FaultProxy', () => {
  it.each(['127.0.0.1', '::1'])('passes bytes on, to a target at %s', async (host) => {
    const { proxy, url } = await through(host);
    const client = await clientOf(proxy.url(url));
    client.socket.write('hello');
    await eventually(() => client.received() === 'hello');
    expect(proxy.links).toBe(1);
  });

  it.each(['::1', '[::1]'])('listens where it is told to: on %s', async (host) => {
    const { port } = await echoServer('127.0.0.1');
    const proxy = closing(await FaultProxy.start({ host: '127.0.0.1', port }, { host }));
    const url = proxy.url('amqp://user:secret@broker.example/vhost?heartbeat=5');
    expect(url).toBe(`amqp://user:secret@[::1]:${String(proxy.port)}/vhost?heartbeat=5`);
    const client = await clientOf(url);
    client.socket.write('hello');
    await eventually(() => client.received() === 'hello');
    proxy.refuse();
    await proxy.restore();
    await clientOf(url);
  });

  it('is reached over the loopback address where it listens on all', async () => {
    const { port } = await echoServer('127.0.0.1');
    const proxy = closing(await FaultProxy.start({ host: '127.0.0.1', port }, { host: '0.0.0.0' }));
    expect(new URL(proxy.url('amqp://broker.example')).host).toBe(`127.0.0.1:${String(proxy.port)}`);
  });

  it('knows the ports that URLs leave out', async () => {
    const dialled: FaultProxy[] = [];
    const targets: number[] = [];
    const start = jest.spyOn(FaultProxy, 'start').mockImplementation((target) => {
      targets.push(target.port);
      return Promise.resolve(dialled[0]!);
    });
    try {
      for (const url of ['amqp://localhost', 'amqps://localhost', 'amqp://localhost:1234'])
        await FaultProxy.before(url);
    } finally {
      start.mockRestore();
    }
    expect(targets).toEqual([5672, 5671, 1234]);
  });

  it('rejects what is no URL, and an address that is not of this machine', async () => {
    expect(await rejection(FaultProxy.before('no url'))).toMatchObject({ code: 'ERR_INVALID_URL' });
    // https://www.rfc-editor.org/rfc/rfc5737: an address that no machine has.
    const elsewhere = FaultProxy.before('amqp://localhost', { host: '192.0.2.1' });
    expect(await rejection(elsewhere)).toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  it('resets both ends of a link, or finishes the client', async () => {
    const { proxy, url, sockets } = await through();
    const [one, other] = [await clientOf(proxy.url(url)), await clientOf(proxy.url(url))];
    await eventually(() => sockets.length === 2);
    expect(proxy.cut(new Set([1]))).toBe(1);
    await eventually(() => one.end() === 'reset' && sockets.filter((socket) => socket.destroyed).length === 1);
    expect(other.end()).toBeUndefined();
    expect(proxy.finish()).toBe(1);
    await eventually(() => other.end() === 'finished');
  });

  it('refuses connections until it is restored, on the same port', async () => {
    const { proxy, url } = await through();
    const client = await clientOf(proxy.url(url));
    proxy.refuse();
    await expect(clientOf(proxy.url(url))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    client.socket.write('still there');
    await eventually(() => client.received() === 'still there');
    await proxy.restore();
    await clientOf(proxy.url(url));
    expect(proxy.linkCount).toBe(2);
  });

  it('holds the bytes of one direction, and releases them in order', async () => {
    const { proxy, url } = await through();
    const client = await clientOf(proxy.url(url));
    const seen: string[] = [];
    proxy.onBytes((direction, chunk) => seen.push(`${direction} ${chunk.toString()}`));
    proxy.hold('toClient');
    client.socket.write('a');
    await eventually(() => seen.includes('toClient a'));
    client.socket.write('b');
    await eventually(() => seen.includes('toClient b'));
    expect(client.received()).toBe('');
    proxy.release();
    await eventually(() => client.received() === 'ab');
  });

  it('swallows bytes in a black hole, and resets its links when that is over', async () => {
    const { proxy, url } = await through();
    const client = await clientOf(proxy.url(url));
    proxy.blackHole();
    const newcomer = await clientOf(proxy.url(url));
    client.socket.write('lost');
    newcomer.socket.write('lost');
    await eventually(() => proxy.links === 2);
    await proxy.restore();
    await eventually(() => client.end() === 'reset' && newcomer.end() === 'reset');
    expect([client.received(), newcomer.received()]).toEqual(['', '']);
    const after = await clientOf(proxy.url(url));
    after.socket.write('through');
    await eventually(() => after.received() === 'through');
  });

  it('delays bytes, each way, without reordering them', async () => {
    const { proxy, url } = await through();
    const client = await clientOf(proxy.url(url));
    proxy.delay(30);
    const began = performance.now();
    client.socket.write('a');
    client.socket.write('b');
    await eventually(() => client.received() === 'ab');
    expect(performance.now() - began).toBeGreaterThanOrEqual(55);
  });

  it('makes a sender wait whose bytes it does not read', async () => {
    const { proxy, url } = await through();
    const client = await clientOf(proxy.url(url));
    let read = 0;
    proxy.onBytes((direction, chunk) => (read += direction === 'toBroker' ? chunk.length : 0));
    proxy.stopReading('client');
    client.socket.write(Buffer.alloc(50_000_000));
    // More than sockets buffer.
    await eventually(() => client.socket.writableNeedDrain);
    expect(read).toBe(0);
    await proxy.restore();
    await eventually(() => read === 50_000_000);
  });

  it('makes a broker wait whose bytes it does not read, and no client', async () => {
    const { proxy, url, sockets } = await through();
    const client = await clientOf(proxy.url(url));
    const seen: string[] = [];
    proxy.onBytes((direction) => seen.push(direction));
    proxy.stopReading('broker');
    client.socket.write('a');
    await eventually(() => sockets[0]?.bytesWritten === 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(['toBroker']);
    await proxy.restore();
    await eventually(() => client.received() === 'a');
    expect(seen).toEqual(['toBroker', 'toClient']);
    proxy.stopReading();
    client.socket.write('b');
    await proxy.restore();
    await eventually(() => client.received() === 'ab');
  });

  it('tells of each link and its bytes by their number, to those who still listen', async () => {
    const { proxy, url } = await through();
    const links: number[] = [];
    const bytes: string[] = [];
    const next = proxy.nextLink();
    const stop = [
      proxy.onLink((link) => links.push(link)),
      proxy.onBytes((direction, chunk, link) => bytes.push(`${String(link)} ${direction} ${chunk.toString()}`)),
    ];
    const clients = [await clientOf(proxy.url(url)), await clientOf(proxy.url(url))];
    for (const [i, client] of clients.entries()) {
      client.socket.write(String(i));
      await eventually(() => client.received() === String(i));
    }
    expect(await next).toBe(1);
    expect(links).toEqual([1, 2]);
    expect(bytes).toEqual(['1 toBroker 0', '1 toClient 0', '2 toBroker 1', '2 toClient 1']);
    for (const end of stop) end();
    const later = proxy.nextLink();
    const third = await clientOf(proxy.url(url));
    third.socket.write('2');
    await eventually(() => third.received() === '2');
    expect([await later, links.length, bytes.length]).toEqual([3, 2, 4]);
  });

  it('keeps what a client left in a black hole, until it is swept', async () => {
    const { proxy, url, sockets } = await through();
    const [gone, there] = [await clientOf(proxy.url(url)), await clientOf(proxy.url(url))];
    await eventually(() => sockets.length === 2);
    expect(proxy.sweep()).toBe(0);
    proxy.blackHole();
    gone.socket.destroy();
    await eventually(() => proxy.sweep() === 1);
    await eventually(() => proxy.links === 1 && sockets.filter(({ destroyed }) => destroyed).length === 1);
    await proxy.restore({ reset: false });
    expect([proxy.links, there.end()]).toEqual([1, undefined]);
    // It stays silent, as after a real one; what comes now goes through.
    const newcomer = await clientOf(proxy.url(url));
    there.socket.write('lost');
    newcomer.socket.write('through');
    await eventually(() => newcomer.received() === 'through');
    expect(there.received()).toBe('');
  });

  it('passes an end and a reset on, in both directions', async () => {
    const { proxy, url, sockets } = await through();
    const [ending, resetting, ended] = [
      await clientOf(proxy.url(url)),
      await clientOf(proxy.url(url)),
      await clientOf(proxy.url(url)),
    ];
    await eventually(() => sockets.length === 3);
    ending.socket.end('last');
    await eventually(() => ending.end() === 'finished');
    expect(ending.received()).toBe('last');
    resetting.socket.resetAndDestroy();
    await eventually(() => sockets.filter(({ destroyed }) => destroyed).length === 2);
    sockets.find(({ destroyed }) => !destroyed)?.resetAndDestroy();
    await eventually(() => ended.end() === 'reset');
  });

  it('delays a share of the chunks alone, which may be none', async () => {
    const { proxy, url } = await through();
    const client = await clientOf(proxy.url(url));
    proxy.delay(60_000, 0);
    client.socket.write('a');
    await eventually(() => client.received() === 'a');
  });

  it('leaves nothing behind when it is closed', async () => {
    const { proxy, url } = await through();
    const client = await clientOf(proxy.url(url));
    await eventually(() => proxy.links === 1);
    await proxy.close();
    await eventually(() => client.end() !== undefined);
    expect(proxy.links).toBe(0);
    await expect(clientOf(proxy.url(url))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
