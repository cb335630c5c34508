import { Duplex } from 'node:stream';
import { HandshakeGate } from '../../../lib/amqp/socket';
import type { Receiver } from '../../../lib/amqp/wire/receiver';
import { encodeMethod } from '../../support/frames/methods';

const OPEN_OK = encodeMethod('connection.open-ok', 0, { knownHosts: '' });
const TUNE = encodeMethod('connection.tune', 0, { channelMax: 1, frameMax: 4096, heartbeat: 0 });

/** A gate, and a socket whose reads go through it. */
function gated(highWaterMark = 65_536) {
  const unfit = jest.fn();
  const gate = new HandshakeGate(unfit);
  const socket = new Duplex({ readableHighWaterMark: highWaterMark, read: () => undefined, write: () => undefined });
  const { buffer, callback } = gate.onread;
  const reads = buffer as Buffer;
  /** As Node does: into the same memory each time. `false`: it reads no more for now. */
  const read = (bytes: Buffer | string, on: unknown = socket): unknown => {
    const length = Buffer.from(bytes).copy(reads);
    return Reflect.apply(callback, on, [length, reads]);
  };
  const passed = (): string => String(socket.read() ?? '');
  const received: string[] = [];
  const receiver = { read: (bytes: Uint8Array) => received.push(String(bytes)) } as unknown as Receiver;
  return { gate, socket, read, passed, unfit, receiver, received };
}

describe('what a socket reads before its connection has listeners', () => {
  it('passes up to the end of open-ok, and what is behind it waits until the gate opens', () => {
    const { gate, read, passed } = gated();
    expect(read(TUNE)).toBe(true);
    expect(read(Buffer.concat([OPEN_OK, Buffer.from('behind it, ')]))).toBe(true);
    expect(read('and later')).toBe(true);
    expect(passed()).toBe(Buffer.concat([TUNE, OPEN_OK]).toString());
    expect(gate.open(undefined)).toBe(true);
    expect(passed()).toBe('behind it, and later');
    expect(gate.open(undefined)).toBe(false);
    read('more');
    expect(passed()).toBe('more');
  });

  it('is all there, when nothing came behind open-ok', () => {
    const { gate, read, passed } = gated();
    read(OPEN_OK);
    expect(gate.open(undefined)).toBe(false);
    read('first');
    expect(passed()).toBe(`${OPEN_OK.toString()}first`);
  });

  it('is kept, though the socket reads the next into the same memory', () => {
    const { gate, read, passed } = gated();
    read(Buffer.concat([OPEN_OK, Buffer.from('held')]));
    read('HELD');
    gate.open(undefined);
    read('open');
    read('OPEN');
    expect(passed()).toBe(`${OPEN_OK.toString()}heldHELDopenOPEN`);
  });

  it('is as much as the socket wants, and no more for now', () => {
    const { gate, read } = gated(16);
    expect(read(TUNE.subarray(0, 4))).toBe(true);
    expect(read(TUNE.subarray(4))).toBe(false);
    read(OPEN_OK);
    gate.open(undefined);
    expect(read('more')).toBe(false);
  });

  it('goes to the receiver from then on, but never ahead of what the socket still holds', () => {
    const { gate, read, passed, receiver, received } = gated();
    read(Buffer.concat([OPEN_OK, Buffer.from('held, ')]));
    expect(gate.open(receiver)).toBe(true);
    expect(read('behind it, ')).toBe(true);
    expect(received).toEqual([]);
    expect(passed()).toBe(`${OPEN_OK.toString()}held, behind it, `);
    expect(read('past the socket')).toBe(true);
    expect(received).toEqual(['past the socket']);
    expect(passed()).toBe('');
  });

  it('tells the socket, and the runtime that does not say which it is', () => {
    const { gate, read, socket, unfit } = gated();
    expect(gate.socket).toBeUndefined();
    expect(read('x', {})).toBe(false);
    expect(unfit).toHaveBeenCalledTimes(1);
    expect(gate.socket).toBeUndefined();
    read(TUNE);
    expect(gate.socket).toBe(socket);
    expect(unfit).toHaveBeenCalledTimes(1);
  });

  it('tells why the broker refused the connection, or what else answers there', () => {
    const { gate, read } = gated();
    expect([gate.refusal, gate.foreignProtocol]).toEqual([undefined, undefined]);
    const refusal = { replyCode: 530, replyText: 'NOT_ALLOWED - no', classId: 10, methodId: 40 };
    read(encodeMethod('connection.close', 0, refusal));
    expect([gate.refusal, gate.foreignProtocol]).toEqual([{ replyCode: 530, text: 'NOT_ALLOWED - no' }, undefined]);
    const other = gated();
    other.read('HTTP/1.1 400');
    expect([other.gate.refusal, other.gate.foreignProtocol]).toEqual([undefined, 'HTTP']);
  });
});
