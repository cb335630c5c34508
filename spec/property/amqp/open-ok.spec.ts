import fc from 'fast-check';
import { OpenOk } from '../../../lib/amqp/open-ok';

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
      const openOk = new OpenOk();
      const pieces = cut(Buffer.concat([upTo, behind]), places);
      const passed = pieces.map((piece) => piece.subarray(0, openOk.endsIn(piece)));
      expect(Buffer.concat(passed)).toEqual(upTo);
    }),
  );
});

it('without open-ok everything passes, sense or none', () => {
  fc.assert(
    fc.property(fc.array(another), fc.array(fc.nat()), (frames, places) => {
      const openOk = new OpenOk();
      for (const piece of cut(Buffer.concat(frames), places)) expect(openOk.endsIn(piece)).toBe(piece.length);
    }),
  );
});
