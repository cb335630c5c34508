import { StreamReader } from '../../../../lib/consumer/stream/stream-reader';
import type { StreamStart } from '../../../../lib/consumer/stream/stream-start';
import { loggerFrom } from '../../../../lib/log';

const BEGUN = new Date('2026-01-01T00:00:00Z').getTime();
const HOUR = 3_600_000;

/** A reader that has attached once, and has received nothing. */
function attachedOnce(offset: StreamStart): StreamReader {
  const reader = new StreamReader({ queueName: 'events', offset, arguments: {} }, loggerFrom('silent', {}));
  expect(reader.arguments()).toEqual({
    'x-stream-offset': offset instanceof Date ? { '!': 'timestamp', value: offset.getTime() / 1000 } : offset,
  });
  reader.attached();
  return reader;
}
const asksFor = (reader: StreamReader): unknown => reader.arguments()['x-stream-offset'];

describe('a reader of a stream that has received nothing when it attaches again', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: BEGUN });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it.each<[StreamStart, string]>([
    ['next', '96s'],
    ['1s', '97s'],
    ['2h', '7296s'],
    ['999999999Y', '999999999s'],
  ])('goes back to its first attach by the clock of the broker, and a little further: %s, %s', (offset, again) => {
    const reader = attachedOnce(offset);
    jest.advanceTimersByTime(90_500);
    expect(asksFor(reader)).toBe(again);
  });

  it('counts from its first attach, however often it attaches', () => {
    const reader = attachedOnce('next');
    for (const again of ['65s', '125s', '185s']) {
      jest.advanceTimersByTime(60_000);
      expect(asksFor(reader)).toBe(again);
      reader.attached();
    }
  });

  it.each([
    ['forward, as after a sleep of the machine', HOUR, '3665s'],
    ['back', -HOUR, '65s'],
  ])('skips nothing when the clock is set %s', (_, by, again) => {
    const reader = attachedOnce('next');
    jest.advanceTimersByTime(60_000);
    jest.setSystemTime(Date.now() + by);
    expect(asksFor(reader)).toBe(again);
  });

  it("asks for what came since it found the stream empty, if it starts at 'last'", () => {
    const reader = new StreamReader({ queueName: 'events', offset: 'last', arguments: {} }, loggerFrom('silent', {}));
    expect(reader.startsAtLast).toBe(true);
    reader.found({ empty: true });
    jest.advanceTimersByTime(2000);
    expect(asksFor(reader)).toBe('last');
    reader.attached();
    expect(reader.startsAtLast).toBe(false);
    jest.advanceTimersByTime(60_000);
    expect(asksFor(reader)).toBe('67s');
  });

  it("asks for the last once more if the stream was not empty any more when it attached at 'last'", () => {
    const reader = new StreamReader({ queueName: 'events', offset: 'last', arguments: {} }, loggerFrom('silent', {}));
    reader.found({ empty: true });
    reader.found({ empty: false });
    expect(asksFor(reader)).toBe('last');
    reader.attached();
    expect(asksFor(reader)).toBe('last');
  });

  it('asks once more for a start that does not depend on the time of the attach', () => {
    const time = new Date(BEGUN - HOUR);
    const readers = (['first', 'last', 7] as const).map(attachedOnce);
    const fromTime = attachedOnce(time);
    jest.advanceTimersByTime(HOUR);
    expect(readers.map(asksFor)).toEqual(['first', 'last', 7]);
    expect(asksFor(fromTime)).toEqual({ '!': 'timestamp', value: time.getTime() / 1000 });
  });

  it('counts from the attach that the broker accepted, and not from one that failed', () => {
    const reader = new StreamReader({ queueName: 'events', offset: 'next', arguments: {} }, loggerFrom('silent', {}));
    expect(asksFor(reader)).toBe('next');
    jest.advanceTimersByTime(HOUR);
    expect(asksFor(reader)).toBe('next');
    reader.attached();
    jest.advanceTimersByTime(1000);
    expect(asksFor(reader)).toBe('6s');
  });
});
