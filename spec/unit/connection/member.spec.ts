import { Closing, type CloseReport } from '../../../lib/connection/member';
import { inVirtualTime, later } from '../../support/virtual-time';

const REPORT: CloseReport = { unsettled: 1, unconfirmed: 2 };

/** A member whose end a test settles. */
function given() {
  const ends: number[] = [];
  const forced: number[] = [];
  let settle: (report: CloseReport) => void = () => undefined;
  const closing: Closing = new Closing(
    (within) => {
      ends.push(within);
      return new Promise((resolve) => {
        settle = resolve;
      });
    },
    () => forced.push(performance.now()),
  );
  return {
    closing,
    ends,
    forced,
    settle: () => {
      settle(REPORT);
    },
  };
}

describe('a member closes', () => {
  inVirtualTime();

  it('once, however often it is asked to, and all are told the same', async () => {
    const { closing, ends, forced, settle } = given();
    expect(closing.begun).toBe(false);
    const reports = [closing.within(100), closing.within(100)];
    expect(closing.begun).toBe(true);
    expect(ends).toEqual([100]);
    settle();
    expect(await Promise.all(reports)).toEqual([REPORT, REPORT]);
    expect(await closing.within(5)).toBe(REPORT);
    await later();
    expect(jest.getTimerCount()).toBe(0);
    await later(1000);
    expect(forced).toEqual([]);
  });

  it('by force when its time is up, in the shortest that it was ever given', async () => {
    const { closing, forced, settle } = given();
    const begun = performance.now();
    void closing.within(100);
    void closing.within(30);
    await later(200);
    expect(forced.map((at) => at - begun)).toEqual([30, 100]);
    settle();
  });

  it('once also if it is asked again in the middle of it', async () => {
    const inner: Promise<CloseReport>[] = [];
    let ends = 0;
    const closing: Closing = new Closing(
      () => {
        ends++;
        inner.push(closing.within(10));
        return Promise.resolve(REPORT);
      },
      () => undefined,
    );
    const outer = closing.within(10);
    expect(await Promise.all([outer, ...inner])).toEqual([REPORT, REPORT]);
    expect(ends).toBe(1);
  });

  it('not at all when it has ended by itself: then it says what was left', async () => {
    const { closing, ends, forced } = given();
    closing.ended(REPORT);
    expect(closing.begun).toBe(true);
    expect(await closing.within(10)).toBe(REPORT);
    await later(100);
    expect([ends, forced]).toEqual([[], []]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
