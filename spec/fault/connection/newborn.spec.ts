import { execFileSync } from 'node:child_process';
import { connect as dial, type AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { Connection, Producer, consume, type ConnectionOptions } from 'instance-queue';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { encodeMethod } from '../../support/frames/methods';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { until } from '../../support/waiting';

const openOk = encodeMethod('connection.open-ok', 0, { knownHosts: '' });
const close = (replyCode: number): Buffer =>
  encodeMethod('connection.close', 0, { replyCode, replyText: 'for a test', classId: 0, methodId: 0 });
const blocked = encodeMethod('connection.blocked', 0, { reason: 'low on memory' });
const unblocked = encodeMethod('connection.unblocked', 0, {});

/** Sends these frames in one segment with open-ok, so that the client gets them in the same read. */
const behindOpenOk = (client: FakeClient, ...frames: Buffer[]): void => {
  client.onMethod('connection.open', () => client.write(Buffer.concat([openOk, ...frames])));
};

/** Starts a TLS server with an untrusted certificate in front of the broker, and gives its URL. */
async function tlsUrl(fake: FakeBroker): Promise<string> {
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '2'];
  const pem = execFileSync('openssl', [...made, '-keyout', '-', '-out', '-'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const server = createServer({ key: pem, cert: pem }, (client) => {
    const onward = dial(fake.port, '127.0.0.1');
    client.pipe(onward).pipe(client);
    client.on('error', () => onward.destroy());
    onward.on('error', () => client.destroy());
  });
  closing({ close: () => new Promise((resolve) => server.close(resolve)) });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `amqps://guest:guest@localhost:${String((server.address() as AddressInfo).port)}`;
}

/** amqplib goes on reading after open-ok before it returns the connection, when the library cannot have listeners yet. */
describe.each<[string, Partial<ConnectionOptions>]>([
  ['a connection', {}],
  ['a connection without `wire`', { wire: false }],
  ['a connection over TLS', { tls: { rejectUnauthorized: false } }],
])('%s', (_, options) => {
  afterEach(closeAll);

  async function scripted(script: (client: FakeClient, number: number) => void) {
    const fake = closing(await FakeBroker.start(script));
    const url = options.tls ? await tlsUrl(fake) : fake.url;
    const backoff = { min: 5, max: 5 };
    const connection = closing(new Connection({ url, reconnect: backoff, reopen: backoff, ...options }));
    const causes: string[] = [];
    connection.on('reconnecting', ({ cause }) => causes.push(cause.message));
    return { fake, connection, causes };
  }

  it.each([
    ['closed as forced', close(320), '320 \\(CONNECTION-FORCED\\)'],
    ['closed with a fatal code', close(504), '504 \\(CHANNEL-ERROR\\)'],
    ['closed with an unknown code', close(999), '999'],
    ['sent garbage', Buffer.alloc(64, 0x17), 'Frame size'],
    ['sent a frame of a channel that is not open', encodeMethod('basic.cancel-ok', 7, { consumerTag: 'x' }), '.'],
  ])('that is %s in the same read as open-ok is a failed attempt with that cause', async (__, frame, why) => {
    const { fake, connection, causes } = await scripted((client, number) => {
      if (number === 1) behindOpenOk(client, frame);
    });
    await connection.connect();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(causes).toEqual([expect.stringMatching(`^Cannot connect to .*: .*${why}`)]);
    expect(fake.clients).toHaveLength(2);
  });

  it('that is blocked in the same read as open-ok is blocked from the start', async () => {
    const { fake, connection } = await scripted((client) => {
      behindOpenOk(client, blocked);
    });
    await connection.connect();
    expect(await until(connection.blocked$, (reason) => reason !== undefined)).toBe('low on memory');
    const producer = closing(new Producer(connection, { declare: false }));
    const sent = producer.send({ exchange: '', routingKey: 'q', body: 1 });
    await fake.clients[0]?.until('confirm.select');
    expect(fake.clients[0]?.published).toEqual([]);
    fake.clients[0]?.write(unblocked);
    expect(await sent).toMatchObject({ attempts: 1 });
  });

  it('reads in order if open-ok and the next frames arrive one byte at a time', async () => {
    const { connection } = await scripted((client) => {
      client.onMethod('connection.open', () => {
        const bytes = Buffer.concat([openOk, blocked, unblocked, blocked]);
        let at = 0;
        const drip = (): void => {
          client.write(bytes.subarray(at, (at += 1)));
          if (at < bytes.length) setImmediate(drip);
        };
        drip();
      });
    });
    const reasons: (string | undefined)[] = [];
    connection.blocked$.subscribe((reason) => reasons.push(reason));
    await connection.connect();
    await until(connection.blocked$, () => reasons.length === 4);
    expect(reasons).toEqual([undefined, 'low on memory', undefined, 'low on memory']);
  });

  it('that is lost right after it connected is replaced for a consumer that opens a channel on it', async () => {
    const { fake, connection, causes } = await scripted(() => undefined);
    connection.once('connected', () => fake.clients[0]?.reset());
    const collected = collect(consume(connection, { queue: 'q', declare: false }));
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    await fake.clients[1]?.until('basic.consume');
    expect(causes).toEqual([expect.stringContaining('Lost the connection')]);
    expect(collected).toMatchObject({ error: undefined, completed: false });
  });
});
