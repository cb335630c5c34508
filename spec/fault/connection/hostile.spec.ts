import type { FakeClient } from '../../support/fake-broker/fake-broker';
import { encodeMethod } from '../../support/frames/methods';
import { runChild } from '../../support/child';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { uniqueName } from '../../support/unique-name';
import { socketDestroyed } from '../../support/fake-broker/socket-destroyed';
import { nestedTable, rawFrame } from '../../support/frames/raw-publisher';
import { eventually, until } from '../../support/waiting';

const { start } = fakeBrokerFixture();

const openOk = encodeMethod('connection.open-ok', 0, { knownHosts: '' });
const closeWith = (replyCode: number, replyText: string): Buffer =>
  encodeMethod('connection.close', 0, { replyCode, replyText, classId: 0, methodId: 0 });
const garbage = Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 151 + 7) % 256));

/** Misbehaviour during the handshake. */
const during: readonly (readonly [string, (client: FakeClient) => void])[] = [
  ['garbage instead of a greeting', (c) => c.onMethod('protocol-header', () => c.write(garbage))],
  [
    'another protocol',
    (c) => c.onMethod('protocol-header', () => c.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  ],
  [
    'another version of the protocol and FIN',
    (c) =>
      c.onMethod('protocol-header', () => {
        c.write(Buffer.from('AMQP\0\0\x09\x01'));
        c.end();
      }),
  ],
  ['FIN after the greeting', (c) => c.onMethod('connection.start-ok', () => c.end())],
  ['RST after the greeting', (c) => c.onMethod('connection.start-ok', () => c.reset())],
  [
    'connection.close instead of tune',
    (c) => c.onMethod('connection.start-ok', () => c.closeConnection(501, 'FRAME_ERROR')),
  ],
  [
    'a challenge',
    (c) => c.onMethod('connection.start-ok', () => c.send(0, 'connection.secure', { challenge: 'why?' })),
  ],
  [
    'a heartbeat instead of tune',
    (c) => c.onMethod('connection.start-ok', () => c.write(rawFrame(8, 0, Buffer.alloc(0)))),
  ],
  [
    'a frame of another channel',
    (c) => c.onMethod('connection.open', () => c.send(3, 'channel.open-ok', { channelId: '' })),
  ],
  [
    'a frame larger than negotiated',
    (c) => c.onMethod('connection.open', () => c.write(rawFrame(1, 0, Buffer.alloc(4), 0xffff_ffff))),
  ],
  ['a body instead of open-ok', (c) => c.onMethod('connection.open', () => c.write(rawFrame(3, 0, garbage)))],
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
    'a close after open-ok in one segment',
    (c) =>
      c.onMethod('connection.open', () =>
        c.write(Buffer.concat([openOk, closeWith(320, 'CONNECTION_FORCED - shutdown')])),
      ),
  ],
];
/** Misbehaviour on an open connection. */
const after: readonly (readonly [string, (client: FakeClient) => void])[] = [
  ['garbage', (c) => c.write(garbage)],
  ['a frame header that claims 4 GiB', (c) => c.write(rawFrame(1, 0, Buffer.alloc(4), 0xffff_ffff))],
  ['a frame on a channel that is not open', (c) => c.deliver(7, 'unknown', 1, 'body')],
  [
    'a frame with a wrong end byte',
    (c) => c.write(Buffer.concat([rawFrame(1, 0, Buffer.alloc(8)).subarray(0, -1), Buffer.from([0])])),
  ],
  ['a method that does not exist', (c) => c.write(rawFrame(1, 0, Buffer.from([0, 99, 0, 99])))],
  [
    'a method out of sequence',
    (c) =>
      c.send(0, 'connection.start', {
        versionMajor: 0,
        versionMinor: 9,
        serverProperties: {},
        mechanisms: 'PLAIN',
        locales: 'en',
      }),
  ],
  ['connection.close with an unknown code', (c) => c.write(closeWith(999, 'because'))],
  [
    'connection.close and RST',
    (c) => {
      c.write(closeWith(541, 'INTERNAL_ERROR'));
      c.reset();
    },
  ],
  [
    'half a frame and FIN',
    (c) => {
      c.write(closeWith(320, 'x').subarray(0, 9));
      c.end();
    },
  ],
];

const DELAYS = [2, 4, 8, 16, 32];
/** The first delays between attempts if each connection misbehaves: from its start, or once the client takes it for open. */
async function delaysBefore(misbehave: (client: FakeClient) => void, once?: 'connected'): Promise<readonly number[]> {
  const reconnect = { min: 2, factor: 2, jitter: 0, max: 1000 };
  const connectTimeout = once ? 10_000 : 300;
  const { fake, connection } = await start(once ? undefined : misbehave, {
    connectTimeout,
    authErrors: 'retry',
    reconnect,
  });
  const delays: number[] = [];
  connection.on('reconnecting', ({ delay }) => delays.push(delay));
  if (once) connection.on(once, () => misbehave(fake.clients.at(-1)!));
  connection.connect().catch(() => undefined);
  await eventually(() => delays.length >= DELAYS.length);
  return delays.slice(0, DELAYS.length);
}

describe('a broker that misbehaves', () => {
  it.each(during)('with %s fails one attempt, and the next one connects', async (_, misbehave) => {
    const { fake, connection } = await start(
      (client, number) => {
        if (number === 1) misbehave(client);
      },
      { connectTimeout: 900, reconnect: { min: 5, max: 5 } },
    );
    const causes: string[] = [];
    connection.on('reconnecting', ({ cause }) => causes.push(cause.code));
    await connection.connect();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(causes).toEqual(['CONNECT_FAILED']);
    expect(fake.clients).toHaveLength(2);
  });

  it.each(after)('with %s on an open connection loses it once, and the next one works', async (_, misbehave) => {
    const { fake, connection } = await start(undefined, { reconnect: { min: 5, max: 5 } });
    const causes: string[] = [];
    connection.on('reconnecting', ({ cause }) => causes.push(cause.code));
    await connection.connect();
    misbehave(fake.clients[0]!);
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(causes).toEqual(['CONNECTION_LOST']);
    await socketDestroyed(fake.clients[0]);
  });

  it.each(during)('with %s at every attempt is tried with growing delays', async (_, misbehave) => {
    expect(await delaysBefore(misbehave)).toEqual(DELAYS);
  });

  it.each(after)('with %s on every connection is tried with growing delays', async (_, misbehave) => {
    expect(await delaysBefore(misbehave, 'connected')).toEqual(DELAYS);
  });

  it('at random at any step never crashes the process', async () => {
    const seed = uniqueName('');
    const { code, stderr, stdout } = await runChild('fault/connection/hostile.program.ts', [seed]);
    expect({ seed, code, stderr }).toEqual({ seed, code: 0, stderr: '' });
    expect(stdout).toMatch(/^survived \d+ connections\n$/);
  });
});
