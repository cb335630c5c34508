import { getEventListeners } from 'node:events';
import { EMPTY, Subject, of, throwError } from 'rxjs';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { firstUnlessAborted, onAbort } from '../../../lib/reactive/abort';
import { rejection } from '../../support/waiting';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('a signal that is shared', () => {
  it('gets one listener, which calls everyone who waits, in order', () => {
    const controller = new AbortController();
    const log: number[] = [];
    for (let i = 0; i < 100; i++) onAbort(controller.signal, () => log.push(i));
    expect(listeners(controller.signal)).toBe(1);
    controller.abort();
    expect(log).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(listeners(controller.signal)).toBe(0);
  });

  it('has no listener once the last one has left, and one again for the next', () => {
    const controller = new AbortController();
    const log: string[] = [];
    const stops = ['a', 'b'].map((name) => onAbort(controller.signal, () => log.push(name)));
    for (const stop of [...stops, ...stops]) stop();
    expect(listeners(controller.signal)).toBe(0);
    onAbort(controller.signal, () => log.push('c'));
    controller.abort();
    expect(log).toEqual(['c']);
  });

  it('calls a function that was added twice twice, and leaves the other when one is removed', () => {
    const controller = new AbortController();
    const listener = jest.fn();
    onAbort(controller.signal, listener);
    onAbort(controller.signal, listener)();
    controller.abort();
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('does not call one that another one has removed meanwhile', () => {
    const controller = new AbortController();
    const late = jest.fn();
    onAbort(controller.signal, () => {
      stop();
    });
    const stop = onAbort(controller.signal, late);
    controller.abort();
    expect(late).not.toHaveBeenCalled();
  });

  it('calls the others when one throws', () => {
    jest.useFakeTimers();
    try {
      const controller = new AbortController();
      const other = jest.fn();
      onAbort(controller.signal, () => {
        throw new Error('listener');
      });
      onAbort(controller.signal, other);
      controller.abort();
      expect(other).toHaveBeenCalledTimes(1);
      expect(() => jest.runAllTimers()).toThrow('listener');
    } finally {
      jest.useRealTimers();
    }
  });

  it('by many producers and requests gets one listener, and none when all have settled', async () => {
    await using queue = new FakeInstanceQueue();
    const { signal } = new AbortController();
    const producers = Array.from({ length: 20 }, () => queue.producer());
    const sends = producers.map((producer) => producer.send({ queue: 'orders', body: 1 }, { signal }));
    const request = queue.request({ queue: 'nowhere', body: 1 }, { signal });
    const shared = listeners(signal);
    await Promise.allSettled([...sends, request]);
    expect([shared, listeners(signal)]).toEqual([1, 0]);
  });
});

describe('the first value unless aborted', () => {
  const reason = new Error('enough');

  it.each([
    ['a value', of(1, 2), 1],
    ['a promise', Promise.resolve(1), 1],
  ])('is that of %s, and leaves no listener', async (_name, values, first) => {
    const { signal } = new AbortController();
    expect(await firstUnlessAborted(values, signal)).toBe(first);
    expect(listeners(signal)).toBe(0);
  });

  it.each([
    ['its error', throwError(() => reason), reason],
    ['EmptyError where there is no value', EMPTY, expect.objectContaining({ name: 'EmptyError' })],
  ])('rejects with %s', async (_name, values, error) => {
    const { signal } = new AbortController();
    expect(await rejection(firstUnlessAborted(values, signal))).toEqual(error);
    expect(listeners(signal)).toBe(0);
  });

  it('rejects with the reason when the signal is aborted first, and lets the values go', async () => {
    const controller = new AbortController();
    const values = new Subject<number>();
    const waiting = firstUnlessAborted(values, controller.signal);
    controller.abort(reason);
    expect(await rejection(waiting)).toBe(reason);
    expect(values.observed).toBe(false);
  });

  it('rejects at once when the signal was aborted before', async () => {
    expect(await rejection(firstUnlessAborted(of(1), AbortSignal.abort(reason)))).toBe(reason);
  });
});
