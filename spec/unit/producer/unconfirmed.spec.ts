import { Ring } from '../../../lib/collections/ring';
import { Unconfirmed } from '../../../lib/producer/outbox';

const confirmedBy = (inFlight: Unconfirmed<string>, tag: number, multiple: boolean): readonly string[] => {
  const confirmed: string[] = [];
  inFlight.confirm(tag, multiple, (entry) => confirmed.push(entry));
  return confirmed;
};
const sent = (...entries: readonly string[]): Unconfirmed<string> => {
  const inFlight = new Unconfirmed<string>();
  for (const entry of entries) inFlight.add(entry);
  return inFlight;
};

describe('the numbers of messages in flight', () => {
  it('count what was written, whatever of it is confirmed or taken', () => {
    const inFlight = sent('a', 'b', 'c');
    expect(inFlight.written).toBe(3);
    confirmedBy(inFlight, 2, true);
    expect(inFlight.written).toBe(3);
    inFlight.takeAll();
    expect(inFlight.written).toBe(3);
    inFlight.add('d');
    expect(inFlight.written).toBe(4);
    expect(confirmedBy(inFlight, 4, false)).toEqual(['d']);
  });

  it.each([true, false])('beyond what was written confirm nothing unknown (multiple: %s)', (multiple) => {
    expect(confirmedBy(sent('a', 'b'), 3, multiple)).toEqual(multiple ? ['a', 'b'] : []);
  });
});

describe('messages in flight', () => {
  it.each([8, 16, 32, 64, 100])('are not confirmed by what confirms an earlier one again, while %d are', (size) => {
    const inFlight = sent(...Array.from({ length: size }, (_, i) => String(i + 1)));
    expect(confirmedBy(inFlight, 1, false)).toEqual(['1']);
    inFlight.add('the last');
    for (const multiple of [true, false]) expect(confirmedBy(inFlight, 1, multiple)).toEqual([]);
    expect([inFlight.size, inFlight.all().at(-1)]).toEqual([size, 'the last']);
  });

  it('are not kept once they are confirmed and nothing older is left', () => {
    const shift = jest.spyOn(Ring.prototype, 'shift');
    const inFlight = sent('a', 'b', 'c');
    confirmedBy(inFlight, 2, false);
    expect(shift).not.toHaveBeenCalled();
    confirmedBy(inFlight, 1, false);
    expect(shift).toHaveBeenCalledTimes(2);
    shift.mockRestore();
  });

  it('are looked through without those that are confirmed', () => {
    const inFlight = sent('a', 'b', 'c');
    confirmedBy(inFlight, 2, false);
    const asked: string[] = [];
    expect(
      inFlight.oldest((entry) => {
        asked.push(entry);
        return entry === 'c';
      }),
    ).toBe('c');
    expect(asked).toEqual(['a', 'c']);
  });
});
