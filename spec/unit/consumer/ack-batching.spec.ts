import { AckBatch, AckBatching } from '../../../lib/consumer/ack-batching';

describe('when acks are sent', () => {
  const flush = jest.fn();
  beforeEach(() => {
    jest.useFakeTimers();
    flush.mockClear();
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const batching = (prefetch: number): AckBatching => new AckBatching(new AckBatch(), prefetch, flush);

  it('the first after 2 ms without any leaves at the end of its turn, with those of the same turn, and without a timer', () => {
    const acks = batching(12);
    for (const at of [0, 10, 12]) {
      flush.mockClear();
      acks.ack(at);
      acks.ack(at + 1);
      expect(flush).not.toHaveBeenCalled();
      jest.runAllTicks();
      expect(flush).toHaveBeenCalledTimes(1);
      expect(jest.getTimerCount()).toBe(0);
      expect(acks.take(Infinity)).toEqual({ upTo: at + 1, singly: [] });
      jest.advanceTimersByTime(2);
    }
  });

  it('fewer than a quarter of the prefetch wait for 2 ms, together, if others were sent just before', () => {
    const acks = batching(12);
    acks.ack(0);
    acks.take(Infinity);
    jest.runAllTicks();
    flush.mockClear();
    acks.ack(1);
    jest.advanceTimersByTime(1);
    acks.ack(2);
    expect(flush).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(flush).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(10);
    expect(flush).toHaveBeenCalledTimes(1);
  });

  it('those that wait leave with their timer, though nothing was sent for 2 ms when another joins them', () => {
    const acks = batching(12);
    acks.ack(0);
    acks.take(Infinity);
    jest.runAllTicks();
    flush.mockClear();
    jest.advanceTimersByTime(1);
    acks.ack(1);
    jest.advanceTimersByTime(1);
    acks.ack(2);
    jest.runAllTicks();
    expect(flush).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(flush).toHaveBeenCalledTimes(1);
    expect(acks.take(Infinity)).toEqual({ upTo: 2, singly: [] });
  });

  it('a quarter of the prefetch leaves at the end of the turn, once, and so does the next', () => {
    const acks = batching(12);
    for (let tag = 1; tag <= 6; tag++) acks.ack(tag);
    expect(flush).not.toHaveBeenCalled();
    jest.runAllTicks();
    expect(flush).toHaveBeenCalledTimes(1);
    expect(acks.take(Infinity)).toEqual({ upTo: 6, singly: [] });
    for (let tag = 7; tag <= 9; tag++) acks.ack(tag);
    jest.runAllTicks();
    expect(flush).toHaveBeenCalledTimes(2);
  });

  it.each([1, 3, 4, 7])('with a prefetch of %d each ack is a quarter', (prefetch) => {
    batching(prefetch).ack(1);
    jest.runAllTicks();
    expect(flush).toHaveBeenCalledTimes(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('acks that are taken before their time leave no timer behind', () => {
    const acks = batching(12);
    acks.ack(0);
    acks.take(Infinity);
    jest.runAllTicks();
    acks.ack(1);
    acks.ack(2);
    expect(jest.getTimerCount()).toBe(1);
    expect(acks.take(2)).toEqual({ upTo: 2, singly: [] });
    expect(jest.getTimerCount()).toBe(0);
    expect(acks.take(Infinity)).toBeUndefined();
    acks.ack(3);
    expect(jest.getTimerCount()).toBe(1);
  });
});
