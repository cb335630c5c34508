import { stat } from 'node:fs/promises';
import { runInNewContext } from 'node:vm';
import { handle, type Arguments } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { isError, nameOf } from '../../lib/errors';
import { collect } from '../support/collect';
import { closeAll, closing } from '../support/closing';

/** In a realm with classes of its own, as `vm`, jsdom and test runners make them. */
const elsewhere = (code: string): unknown => runInNewContext(code);

afterEach(closeAll);

describe('values of another realm are what they are', () => {
  it('dates, bytes and objects in bodies, properties and headers', async () => {
    const queue = closing(new FakeInstanceQueue());
    // Node's own dates are of another realm than a test under Jest.
    const { mtime } = await stat(__filename);
    const at = elsewhere('new Date(1700000000000)') as Date;
    const stamp = { '!': 'timestamp', value: 1_700_000_000 };
    const bytes = elsewhere('Uint8Array.of(1, 2)') as Uint8Array;
    await queue.send({ queue: 'a', body: { mtime, at, order: elsewhere('({ lines: [{}] })') }, timestamp: mtime });
    await queue.send({
      queue: 'a',
      body: bytes,
      timestamp: at,
      headers: elsewhere('({ at: new Date(1700000000000) })') as Arguments,
    });
    await queue.send({ queue: 'a', body: structuredClone({ at }), headers: { bytes, at } });
    const messages = queue.broker.messages('a');
    expect(messages.map(({ body }) => body)).toEqual([
      { mtime: mtime.toISOString(), at: at.toISOString(), order: { lines: [{}] } },
      Buffer.from([1, 2]),
      { at: at.toISOString() },
    ]);
    expect(messages.map(({ properties }) => properties.headers)).toEqual([
      {},
      { at: stamp },
      { at: stamp, bytes: Buffer.from([1, 2]) },
    ]);
    expect(messages[1]?.properties.timestamp).toEqual(new Date(1_700_000_000_000));
  });

  it('options, and the signal of a send', async () => {
    const queue = closing(
      new FakeInstanceQueue(elsewhere("({ consumer: { prefetch: 3 }, logger: 'silent' })") as object),
    );
    const listeners: (() => void)[] = [];
    const signal = {
      aborted: false,
      reason: 'enough',
      addEventListener: (_type: string, listener: () => void) => void listeners.push(listener),
      removeEventListener: () => undefined,
    };
    queue.broker.block();
    const sent = queue.send({ queue: 'a', body: 1 }, { signal: signal as unknown as AbortSignal });
    listeners.forEach((aborted) => aborted());
    await expect(sent).rejects.toMatchObject({ code: 'PUBLISH_ABORTED' });
    queue.broker.unblock();
  });

  it('promises and errors of work', async () => {
    const queue = closing(new FakeInstanceQueue());
    const work = ({ body }: { body: unknown }): unknown =>
      body === 'good' ? elsewhere('Promise.resolve(7)') : elsewhere("Promise.reject(new RangeError('elsewhere'))");
    const onError = queue.retry({ attempts: 1, delay: 10, then: { queue: 'dead' } });
    const handled = collect(queue.consume({ queue: 'a' }).pipe(handle(work, { onError })));
    await queue.send({ queue: 'a', body: 'good' });
    await queue.send({ queue: 'a', body: 'bad' });
    await queue.rest();
    expect(handled.values).toMatchObject([{ value: 7 }, { error: { message: 'elsewhere' } }]);
    expect(queue.broker.messages('dead')[0]?.properties.headers).toMatchObject({
      'x-instance-queue-error-name': 'RangeError',
      'x-instance-queue-error-message': 'elsewhere',
    });
  });

  it('errors, and those of a signal that timed out', async () => {
    const signal = AbortSignal.timeout(1);
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve);
    });
    expect(isError(signal.reason)).toBe(true);
    expect(nameOf(signal.reason)).toBe('TimeoutError');
    expect(nameOf(elsewhere('new TypeError("x")'))).toBe('TypeError');
    expect(isError({ name: 'Error', message: 'not one' })).toBe(false);
  });
});
