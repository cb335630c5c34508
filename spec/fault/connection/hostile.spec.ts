import { Connection } from 'instance-queue';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { encodeMethod } from '../../support/frames/methods';
import { runChild } from '../../support/child';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { socketDestroyed } from '../../support/fake-broker/socket-destroyed';
import { nestedTable, rawFrame } from '../../support/frames/raw-publisher';
import { eventually, until } from '../../support/waiting';

afterEach(closeAll);

const openOk = encodeMethod('connection.open-ok', 0, { knownHosts: '' });
const closeWith = (replyCode: number, replyText: string): Buffer =>
  encodeMethod('connection.close', 0, { replyCode, replyText, classId: 0, methodId: 0 });
const garbage = Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 151 + 7) % 256));

/** What a first connection meets; the second is served well. */
const during: readonly (readonly [string, (client: FakeClient) => void])[] = [
  ['garbage instead of a greeting', (c) => c.onMethod('protocol-header', () => c.write(garbage))],
  [
    'another protocol',
    (c) => c.onMethod('protocol-header', () => c.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  ],
  [
    'another version of the protocol, and the end',
    (c) =>
      c.onMethod('protocol-header', () => {
        c.write(Buffer.from('AMQP\0\0\x09\x01'));
        c.end();
      }),
  ],
  ['the end behind the greeting', (c) => c.onMethod('connection.start-ok', () => c.end())],
  ['a reset behind the greeting', (c) => c.onMethod('connection.start-ok', () => c.reset())],
  [
    'connection.close in the place of tune',
    (c) => c.onMethod('connection.start-ok', () => c.closeConnection(501, 'FRAME_ERROR')),
  ],
  [
    'a challenge',
    (c) => c.onMethod('connection.start-ok', () => c.send(0, 'connection.secure', { challenge: 'why?' })),
  ],
  [
    'a heartbeat in the place of tune',
    (c) => c.onMethod('connection.start-ok', () => c.write(rawFrame(8, 0, Buffer.alloc(0)))),
  ],
  [
    'a frame of another channel',
    (c) => c.onMethod('connection.open', () => c.send(3, 'channel.open-ok', { channelId: '' })),
  ],
  [
    'a frame larger than agreed',
    (c) => c.onMethod('connection.open', () => c.write(rawFrame(1, 0, Buffer.alloc(4), 0xffff_ffff))),
  ],
  ['a body in the place of open-ok', (c) => c.onMethod('connection.open', () => c.write(rawFrame(3, 0, garbage)))],
  [
    'a greeting nested 15 000 deep',
    (c) =>
      c.onMethod('protocol-header', () => {
        const strings = Buffer.from('\0\0\0\x05PLAIN\0\0\0\x05en_US');
        const method = Buffer.from([0, 10, 0, 10, 0, 9]);
        c.write(rawFrame(1, 0, Buffer.concat([method, nestedTable(15_000), strings])));
      }),
  ],
  [
    'a close right behind open-ok, in one segment',
    (c) =>
      c.onMethod('connection.open', () =>
        c.write(Buffer.concat([openOk, closeWith(320, 'CONNECTION_FORCED - shutdown')])),
      ),
  ],
];
const after: readonly (readonly [string, (client: FakeClient) => void])[] = [
  ['garbage', (c) => c.write(garbage)],
  ['a frame header that promises 4 GiB', (c) => c.write(rawFrame(1, 0, Buffer.alloc(4), 0xffff_ffff))],
  ['a frame on a channel that nobody opened', (c) => c.deliver(7, 'nobody', 1, 'boo')],
  [
    'a frame that ends wrongly',
    (c) => c.write(Buffer.concat([rawFrame(1, 0, Buffer.alloc(8)).subarray(0, -1), Buffer.from([0])])),
  ],
  ['a method that does not exist', (c) => c.write(rawFrame(1, 0, Buffer.from([0, 99, 0, 99])))],
  [
    'a method out of place',
    (c) =>
      c.send(0, 'connection.start', {
        versionMajor: 0,
        versionMinor: 9,
        serverProperties: {},
        mechanisms: 'PLAIN',
        locales: 'en',
      }),
  ],
  ['connection.close with a code nobody knows', (c) => c.write(closeWith(999, 'because'))],
  [
    'connection.close and a reset',
    (c) => {
      c.write(closeWith(541, 'INTERNAL_ERROR'));
      c.reset();
    },
  ],
  [
    'a half frame and the end',
    (c) => {
      c.write(closeWith(320, 'x').subarray(0, 9));
      c.end();
    },
  ],
];

const DELAYS = [2, 4, 8, 16, 32];
/** The delays that one is given who misbehaves each time: from the beginning, or once the client has it for open. */
async function delaysBefore(misbehave: (client: FakeClient) => void, once?: 'connected'): Promise<readonly number[]> {
  const fake = await FakeBroker.start(once ? undefined : misbehave);
  const reconnect = { min: 2, factor: 2, jitter: 0, max: 1000 };
  const connectTimeout = once ? 10_000 : 300;
  const connection = closing(new Connection({ url: fake.url, connectTimeout, authErrors: 'retry', reconnect }));
  const delays: number[] = [];
  connection.on('reconnecting', ({ delay }) => delays.push(delay));
  if (once) connection.on(once, () => misbehave(fake.clients.at(-1)!));
  connection.connect().catch(() => undefined);
  await eventually(() => delays.length >= DELAYS.length);
  await closeAll();
  await fake.close();
  return delays.slice(0, DELAYS.length);
}

describe('a broker that misbehaves', () => {
  it.each(during)('with %s makes a failed attempt, and the next one connects', async (_, misbehave) => {
    const fake = await FakeBroker.start((client, number) => {
      if (number === 1) misbehave(client);
    });
    const connection = closing(new Connection({ url: fake.url, connectTimeout: 900, reconnect: { min: 5, max: 5 } }));
    const causes: string[] = [];
    connection.on('reconnecting', ({ cause }) => causes.push(cause.code));
    await connection.connect();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(causes).toEqual(['CONNECT_FAILED']);
    expect(fake.clients).toHaveLength(2);
    await closeAll();
    await fake.close();
  });

  it.each(after)('sending %s on an open connection loses it, once, and the next one serves', async (_, misbehave) => {
    const fake = await FakeBroker.start();
    const connection = closing(new Connection({ url: fake.url, reconnect: { min: 5, max: 5 } }));
    const causes: string[] = [];
    connection.on('reconnecting', ({ cause }) => causes.push(cause.code));
    await connection.connect();
    misbehave(fake.clients[0]!);
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(causes).toEqual(['CONNECTION_LOST']);
    await socketDestroyed(fake.clients[0]);
    await closeAll();
    await fake.close();
  });

  it.each(during)('at every dial, with %s, is dialled later and later', async (_, misbehave) => {
    expect(await delaysBefore(misbehave)).toEqual(DELAYS);
  });

  it.each(after)('on every connection, sending %s, is dialled later and later', async (_, misbehave) => {
    expect(await delaysBefore(misbehave, 'connected')).toEqual(DELAYS);
  });

  it('at random, in every phase, never takes the process down', async () => {
    const seed = uniqueName('');
    const { code, stderr, stdout } = await runChild('fault/connection/hostile.program.ts', [seed]);
    expect({ seed, code, stderr }).toEqual({ seed, code: 0, stderr: '' });
    expect(stdout).toMatch(/^survived \d+ connections\n$/);
  });
});
