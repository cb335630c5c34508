import fc from 'fast-check';
import { HandshakeReader } from '../../../lib/amqp/socket';

const OPEN_OK = [10, 41] as const;

function frame(type: number, channel: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}
const method = (channel: number, [classId, methodId]: readonly [number, number], args: Buffer): Buffer => {
  const ids = Buffer.alloc(4);
  ids.writeUInt16BE(classId, 0);
  ids.writeUInt16BE(methodId, 2);
  return frame(1, channel, Buffer.concat([ids, args]));
};

const octets = fc.uint8Array({ maxLength: 40 }).map((given) => Buffer.from(given));
/** Any frame but open-ok: heartbeats, bodies that look like open-ok, methods of other numbers. */
const another = fc.oneof(
  fc.constant(frame(8, 0, Buffer.alloc(0))),
  fc.tuple(fc.constantFrom(2, 3, 8), octets).map(([type, payload]) => frame(type, 0, payload)),
  fc.constant(frame(3, 1, method(0, OPEN_OK, Buffer.alloc(1)))),
  fc
    .tuple(fc.constantFrom<readonly [number, number]>([10, 10], [10, 40], [41, 10], [20, 41]), octets)
    .map(([ids, args]) => method(0, ids, args)),
);

/** The same octets in pieces. */
const cut = (bytes: Buffer, at: readonly number[]): Buffer[] => {
  const places = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
};

it('the end of open-ok is found whatever comes before and behind it, and however it is cut', () => {
  fc.assert(
    fc.property(fc.array(another), octets, octets, fc.array(fc.nat()), (before, args, behind, places) => {
      const upTo = Buffer.concat([...before, method(0, OPEN_OK, args)]);
      const reader = new HandshakeReader();
      const pieces = cut(Buffer.concat([upTo, behind]), places);
      const passed = pieces.map((piece) => piece.subarray(0, reader.endsIn(piece)));
      expect(Buffer.concat(passed)).toEqual(upTo);
    }),
  );
});

it('without open-ok everything passes, sense or none', () => {
  fc.assert(
    fc.property(fc.array(another), fc.array(fc.nat()), (frames, places) => {
      const reader = new HandshakeReader();
      for (const piece of cut(Buffer.concat(frames), places)) expect(reader.endsIn(piece)).toBe(piece.length);
    }),
  );
});

it('the reason of a close in the handshake is kept, however it is cut', () => {
  const reason = fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.string({ unit: 'grapheme', maxLength: 60 }));
  fc.assert(
    fc.property(fc.array(another), reason, octets, fc.array(fc.nat()), (before, [code, words], behind, places) => {
      const text = Buffer.from(words).subarray(0, 255);
      const fields = Buffer.concat([
        Buffer.from([code >>> 8, code & 0xff, text.length]),
        text,
        Buffer.from([0, 10, 0, 40]),
      ]);
      const reader = new HandshakeReader();
      const bytes = Buffer.concat([...before, method(0, [10, 50], fields), behind]);
      for (const piece of cut(bytes, places)) reader.endsIn(piece);
      expect(reader.refusal).toEqual({ replyCode: code, text: text.toString() });
    }),
  );
});

it('a handshake without a close has no reason to tell', () => {
  fc.assert(
    fc.property(fc.array(another), fc.array(fc.nat()), (frames, places) => {
      const reader = new HandshakeReader();
      for (const piece of cut(Buffer.concat(frames), places)) reader.endsIn(piece);
      expect(reader.refusal).toBeUndefined();
    }),
  );
});

it.each<[string, Buffer, string | undefined]>([
  ['a broker', method(0, [10, 10], Buffer.alloc(4)), undefined],
  ['a web server', Buffer.from('HTTP/1.1 400 Bad Request\r\n'), 'HTTP'],
  ['a TLS port, which answers with an alert', Buffer.from('15030100020246', 'hex'), 'TLS'],
  ['a TLS port of version 1.3', Buffer.from('15030300020246', 'hex'), 'TLS'],
  ['a TLS port that greets', Buffer.from('16030100020246', 'hex'), 'TLS'],
  ['what only begins as TLS does', Buffer.from('15040100020246', 'hex'), 'a protocol that is not AMQP'],
  ['what goes on as TLS does', Buffer.from('17030100020246', 'hex'), 'a protocol that is not AMQP'],
  ['nobody', Buffer.alloc(0), undefined],
  ['a peer of which one octet came', Buffer.from('H'), 'a protocol that is not AMQP'],
  ['a broker of AMQP 0-9-1 for which it is too new', Buffer.from('414d515000000901', 'hex'), 'AMQP 0.9.1'],
  ['an AMQP 1.0 peer', Buffer.from('414d515000010000', 'hex'), 'AMQP 1.0.0'],
  ['an SSH server', Buffer.from('SSH-2.0-OpenSSH_9.2'), 'a protocol that is not AMQP'],
])('the first octets tell what answers: %s', (_who, bytes, protocol) => {
  const reader = new HandshakeReader();
  reader.endsIn(bytes.subarray(0, 3));
  reader.endsIn(bytes.subarray(3));
  expect(reader.foreignProtocol).toBe(protocol);
});
