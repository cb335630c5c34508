import { StreamReader } from '../../../../lib/consumer/stream/stream-reader';
import type { StreamStart } from '../../../../lib/consumer/stream/stream-start';
import { type LogEntry, loggerFrom } from '../../../../lib/log';
import { inbound } from '../../../support/inbound-channel';

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

describe('a reader of a stream', () => {
  interface Given {
    readonly offset?: StreamStart;
    readonly filter?: boolean;
  }
  beforeEach(() => {
    jest.useFakeTimers({ now: BEGUN });
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  function reading({ offset = 'first', filter = false }: Given = {}) {
    const lines: LogEntry[] = [];
    const offsets: number[] = [];
    const reader = new StreamReader(
      {
        queueName: 'events',
        offset,
        arguments: filter ? { 'x-stream-filter': ['eu'] } : {},
        onOffset: (one) => offsets.push(one),
      },
      loggerFrom((line) => lines.push(line), {}),
    );
    const take = (...taken: readonly number[]): void => {
      for (const one of taken) reader.place.arrive(reader.read(inbound(1, { headers: { 'x-stream-offset': one } })));
    };
    return { reader, lines, offsets, take };
  }
  const LATER = 'stream begins later than expected: retention removed the messages in between';

  it('refuses a message without an offset, which is none of a stream', () => {
    for (const headers of [undefined, {}, { 'x-stream-offset': '5' }])
      expect(() => reading().reader.read(inbound(1, { headers }))).toThrow('A message of a stream has no offset.');
  });

  it('reports how far everything is settled, at most every 2 ms, and the last of it at the end', () => {
    const { reader, offsets, take } = reading();
    take(3, 4, 5, 6);
    reader.settled(4);
    jest.advanceTimersByTime(10);
    expect(offsets).toEqual([]);
    reader.settled(3);
    jest.advanceTimersByTime(1);
    reader.settled(5);
    expect(offsets).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(offsets).toEqual([5]);
    reader.report();
    expect(offsets).toEqual([5]);
    reader.settled(6);
    reader.report();
    expect(offsets).toEqual([5, 6]);
  });

  it('reports nothing where nothing is settled', () => {
    const { reader, offsets } = reading();
    reader.report();
    expect(offsets).toEqual([]);
  });

  it('needs no callback', () => {
    const reader = new StreamReader({ queueName: 'q', offset: 'first', arguments: {} }, loggerFrom('silent', {}));
    reader.place.arrive(0);
    reader.settled(0);
    expect(jest.getTimerCount()).toBe(0);
    reader.report();
    expect(reader.place.position).toBe(0);
  });

  it.each<[StreamStart, boolean]>([
    ['first', false],
    ['next', false],
    [0, true],
    [7, true],
  ])('needs the stream as it was if it started at an offset, or has had something: %s', (offset, resumes) => {
    const { reader, take } = reading({ offset });
    expect([reader.resumes, reader.startsAtLast]).toEqual([resumes, false]);
    take(9);
    expect(reader.resumes).toBe(true);
  });

  it("does not start at 'last' once it has had something", () => {
    const { reader, take } = reading({ offset: 'last' });
    expect(reader.startsAtLast).toBe(true);
    take(4);
    expect(reader.startsAtLast).toBe(false);
  });

  it('starts over with a new stream, from its first message, and reports its offsets again', () => {
    const { reader, lines, offsets, take } = reading({ offset: 5 });
    take(5, 6);
    reader.settled(5);
    reader.report();
    reader.missing();
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'stream is gone: the new one is read from its first offset',
        fields: { queue: 'events', position: 5 },
      },
    ]);
    expect(asksFor(reader)).toBe('first');
    take(0, 1, 2, 3, 4, 5);
    for (const one of [0, 1, 2, 3, 4, 5]) reader.settled(one);
    reader.report();
    expect(offsets).toEqual([5, 5]);
  });

  it('that has had nothing goes on as it was when its stream is gone', () => {
    const { reader, lines } = reading({ offset: 'next' });
    reader.missing();
    expect([lines, asksFor(reader)]).toEqual([[], 'next']);
  });

  it('warns when the first message comes from behind the offset it asked for, and goes on there', () => {
    const { reader, lines, offsets, take } = reading({ offset: 5 });
    reader.arguments();
    take(5, 6, 7);
    reader.settled(6);
    expect(asksFor(reader)).toBe(5);
    take(20);
    expect(lines).toEqual([{ level: 'warn', message: LATER, fields: { queue: 'events', expected: 5, got: 20 } }]);
    expect(asksFor(reader)).toBe(20);
    jest.advanceTimersByTime(2);
    expect([offsets, reader.place.position]).toEqual([[], undefined]);
  });

  it('warns of a gap as well where it had been handed nothing of it', () => {
    const { reader, lines, take } = reading({ offset: 5 });
    reader.arguments();
    take(6);
    expect(lines).toMatchObject([{ message: LATER, fields: { expected: 5, got: 6 } }]);
  });

  it('reports what was settled above that which is gone', () => {
    const { reader, offsets, take } = reading({ offset: 5 });
    take(5, 6, 7);
    reader.settled(6);
    reader.arguments();
    take(6);
    jest.advanceTimersByTime(2);
    expect(offsets).toEqual([6]);
  });

  it('looks at the first message of an attachment alone, and at none that is the one it asked for', () => {
    const { reader, lines, take } = reading({ offset: 5 });
    reader.arguments();
    take(5, 9);
    reader.settled(5);
    reader.report();
    expect(asksFor(reader)).toBe(6);
    expect(lines).toEqual([]);
    const begins = reading({ offset: 'first' });
    begins.reader.arguments();
    begins.take(9);
    expect(begins.lines).toEqual([]);
  });

  it('with a filter takes gaps for chunks that were left out, unless something that it was handed is gone', () => {
    const { reader, lines, take } = reading({ offset: 5, filter: true });
    reader.arguments();
    take(8);
    expect(lines).toEqual([]);
    expect(asksFor(reader)).toBe(8);
    take(30);
    expect(lines).toMatchObject([{ message: LATER, fields: { expected: 8, got: 30 } }]);
  });
});
