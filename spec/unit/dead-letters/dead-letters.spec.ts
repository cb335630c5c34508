import { OptionsError } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { type DeadLetterReport, type DeadLetters, deadLetters } from 'instance-queue/tools';
import { from, lastValueFrom, map, type Observable, tap, toArray } from 'rxjs';
import type { QueueScan } from '../../../lib/consumer/queue-scan';
import { OWN } from '../../../lib/own-headers';
import type { InboundMessage } from '../../../lib/transport/transport';
import { closeAll, closing } from '../../support/closing';
import { eventually, rejection } from '../../support/waiting';

afterEach(closeAll);

async function given(...names: readonly string[]): Promise<FakeInstanceQueue> {
  const queue = closing(new FakeInstanceQueue());
  await queue.admin.declare({ queues: [{ name: 'dead' }, ...names.map((name) => ({ name }))] });
  return queue;
}
/** Puts letters into the dead-letter queue, as if each had failed in a queue of that name. */
async function failedIn(queue: FakeInstanceQueue, ...names: readonly string[]): Promise<void> {
  for (const name of names) await queue.send({ queue: 'dead', body: name, headers: { [OWN.queue]: name } });
}
const bodies = (queue: FakeInstanceQueue, name: string): unknown[] =>
  queue.broker.messages(name).map(({ body }) => body);

describe('the name of a dead-letter queue', () => {
  it.each<[string, unknown]>([
    ['the name of a queue', ''],
    ['the name of a queue', 5],
    ['the name of a queue', undefined],
    ['255 bytes', 'q'.repeat(256)],
  ])('is %s, and not %j', (words, name) => {
    const made = (): unknown => deadLetters(closing(new FakeInstanceQueue()), name as string);
    expect(made).toThrow(OptionsError);
    expect(made).toThrow('`name`');
    expect(made).toThrow(words);
  });

  it('is the one that was given', () => {
    expect(deadLetters(closing(new FakeInstanceQueue()), 'orders.dead').name).toBe('orders.dead');
  });
});

describe('a report', () => {
  it('counts a hundred places by their names, and the rest together', async () => {
    const names = Array.from({ length: 103 }, (_, i) => `q${String(i)}`);
    const queue = await given(...names);
    await failedIn(queue, ...names, 'q0');
    const { done, targets } = await lastValueFrom(deadLetters(queue, 'dead').replay({ dryRun: true }));
    expect(done).toBe(104);
    expect(Object.keys(targets)).toHaveLength(101);
    expect(targets).toMatchObject({ q0: 2, q1: 1, q99: 1, '…': 3 });
  });

  it('names an exchange with the routing key', async () => {
    const queue = await given('orders');
    await queue.admin.declare({
      exchanges: [{ name: 'again', type: 'direct' }],
      bindings: [{ exchange: 'again', queue: 'orders', routingKey: 'k' }],
    });
    await failedIn(queue, 'orders');
    const to = { exchange: 'again', routingKey: 'k' };
    expect((await lastValueFrom(deadLetters(queue, 'dead').move(to))).targets).toEqual({ 'again → k': 1 });
  });

  it('says why letters stay, each for its own reason', async () => {
    const queue = await given('orders');
    await failedIn(queue, 'orders', 'none', 'dead');
    await queue.send({ queue: 'dead', body: 'from nowhere' });
    const report = await lastValueFrom(deadLetters(queue, 'dead').replay());
    expect(report).toMatchObject({
      found: 4,
      read: 4,
      matched: 4,
      done: 1,
      kept: { noOrigin: 2, unroutable: 1, refused: 0 },
      targets: { orders: 1 },
      problem: expect.stringContaining('none') as string,
    });
    expect(report).not.toHaveProperty('stopped');
    expect(bodies(queue, 'orders')).toEqual(['orders']);
    expect(bodies(queue, 'dead')).toEqual(['none', 'dead', 'from nowhere']);
  });

  it('says nothing of problems where there were none', async () => {
    const queue = await given('orders');
    await failedIn(queue, 'orders');
    expect(await lastValueFrom(deadLetters(queue, 'dead').drop())).toEqual({
      found: 1,
      read: 1,
      matched: 1,
      done: 1,
      kept: { noOrigin: 0, unroutable: 0, refused: 0 },
      targets: {},
    });
    expect(bodies(queue, 'dead')).toEqual([]);
  });

  it('comes behind what it counts, in order, and last of all', async () => {
    const queue = await given('orders');
    await failedIn(queue, ...Array.from({ length: 5 }, () => 'orders'));
    const done: number[] = [];
    const replay$ = deadLetters(queue, 'dead').replay({ limit: 3 });
    const reports = await lastValueFrom(
      replay$.pipe(
        tap(({ done: now }) => done.push(now)),
        toArray(),
      ),
    );
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(reports.at(-1)).toMatchObject({ found: 5, read: 3, matched: 3, done: 3 });
    expect(bodies(queue, 'dead')).toHaveLength(2);
  });
});

it.each([
  [false, 'queue'],
  [true, 'queue'],
  [false, 'published'],
  [true, 'published'],
] as const)('a letter from a queue whose name is too long stays alone (dryRun: %j, to: %j)', async (dryRun, to) => {
  const queue = await given('orders');
  for (const name of ['q'.repeat(256), 'orders'])
    await queue.send({ queue: 'dead', body: name, headers: { [OWN.queue]: name, [OWN.routingKey]: name } });
  const report = await lastValueFrom(deadLetters(queue, 'dead').replay({ dryRun, to }));
  expect(report).toMatchObject({ matched: 2, done: 1, kept: { noOrigin: 0, unroutable: 0, refused: 1 } });
  expect(report.problem).toContain('`routingKey` to be a string of at most 255 bytes');
});

it.each([false, true])('a letter that was published to its own queue stays there (dryRun: %j)', async (dryRun) => {
  const queue = await given('orders');
  await queue.send({ queue: 'dead', body: 1, headers: { [OWN.queue]: 'orders', [OWN.routingKey]: 'dead' } });
  const report = await lastValueFrom(deadLetters(queue, 'dead').replay({ dryRun, to: 'published' }));
  expect(report).toMatchObject({ done: 0, kept: { noOrigin: 1 }, targets: {} });
  expect(queue.broker.messages('dead')).toMatchObject([{ properties: { headers: { [OWN.queue]: 'orders' } } }]);
});

describe('a dry run', () => {
  it('of a drop counts, and leaves all where they are', async () => {
    const queue = await given();
    await failedIn(queue, 'orders', 'invoices');
    const report = await lastValueFrom(deadLetters(queue, 'dead').drop({ dryRun: true, where: { queue: 'orders' } }));
    expect(report).toMatchObject({ read: 2, matched: 1, done: 1, targets: {} });
    expect(bodies(queue, 'dead')).toEqual(['orders', 'invoices']);
  });
});

describe('letters at a rate', () => {
  it('go one after the other, the first at once', async () => {
    const queue = await given('orders');
    await failedIn(queue, 'orders', 'orders', 'orders');
    const began = performance.now();
    const report = await lastValueFrom(deadLetters(queue, 'dead').replay({ rate: 100 }));
    const took = performance.now() - began;
    expect(report).toMatchObject({ done: 3 });
    expect(took).toBeGreaterThanOrEqual(19);
  });
});

describe('where each look counts, at a letter that is near its delivery limit,', () => {
  /** A queue whose letters were delivered so often, on a broker that drops them at 20. */
  function counting(...counts: readonly number[]) {
    const queue = closing(new FakeInstanceQueue());
    const kept: number[] = [];
    const message$ = from(counts).pipe(
      map((count, i): InboundMessage => {
        const headers = { 'x-delivery-count': count };
        const route = { deliveryTag: i + 1, redelivered: true, exchange: '', routingKey: 'dead' };
        const more = { contentType: undefined, contentEncoding: undefined, unreadable: undefined };
        return { content: Buffer.from(''), headers, properties: { headers }, ...route, ...more };
      }),
    );
    const scan = {
      found: counts.length,
      deliveryLimit: 20,
      message$,
      ending: new AbortController().signal,
      keep: (tag: number) => kept.push(tag),
      close: () => Promise.resolve(),
    };
    jest.spyOn(queue.admin, 'scan').mockResolvedValue(scan as unknown as QueueScan);
    return { letters: deadLetters(queue, 'dead'), kept };
  }

  it('groups end behind it, and say so', async () => {
    const { letters, kept } = counting(1, 18, 1);
    expect(await lastValueFrom(letters.groups())).toMatchObject({
      found: 3,
      read: 2,
      matched: 2,
      highestCount: 18,
      stopped: 'delivery-limit',
    });
    expect(kept).toEqual([1, 2]);
    const whole = await lastValueFrom(counting(1, 17, 1).letters.groups());
    expect(whole).toMatchObject({ read: 3, highestCount: 17 });
    expect(whole).not.toHaveProperty('stopped');
  });

  it('a look ends behind it', async () => {
    const { letters, kept } = counting(1, 18, 1);
    expect(await lastValueFrom(letters.look().pipe(toArray()))).toHaveLength(2);
    expect(kept).toEqual([1, 2]);
  });

  it('a transfer ends behind it, if it stays', async () => {
    const { letters, kept } = counting(1, 18, 1);
    expect(await lastValueFrom(letters.drop({ where: () => false }))).toMatchObject({
      read: 2,
      matched: 0,
      stopped: 'delivery-limit',
    });
    expect(kept).toEqual([1, 2]);
  });

  it('neither a look nor a transfer begins', async () => {
    for (const work of [
      counting(18).letters.groups(),
      counting(18).letters.look(),
      counting(18).letters.drop({ dryRun: true }),
    ])
      expect(await rejection(lastValueFrom<unknown>(work))).toMatchObject({ option: 'deliveryLimit' });
    expect(await lastValueFrom(counting(18).letters.groups({ deliveryLimit: 100 }))).toMatchObject({ read: 1 });
  });
});

it('a replay fails with its connection, behind a last report', async () => {
  const queue = await given('orders');
  await failedIn(queue, 'orders', 'orders');
  const reports: DeadLetterReport[] = [];
  const replay$ = deadLetters(queue, 'dead').replay({ rate: 0.01 });
  const failed = rejection(lastValueFrom(replay$.pipe(tap((report) => reports.push(report)))));
  await eventually(() => bodies(queue, 'orders').length === 1);
  await queue.close();
  expect(await failed).toMatchObject({ code: 'CHANNEL_CLOSED' });
  expect(reports.at(-1)).toMatchObject({ found: 2, done: 1 });
});

it('a filter that throws ends what it was given to with its error, and the letters stay', async () => {
  const queue = await given('orders');
  await failedIn(queue, 'orders', 'orders', 'orders');
  const mine = new Error('mine');
  let asked = 0;
  const where = (): boolean => {
    if (++asked === 2) throw mine;
    return true;
  };
  const letters = deadLetters(queue, 'dead');
  const reports: DeadLetterReport[] = [];
  const replay$ = letters.replay({ where }).pipe(tap((report) => reports.push(report)));
  expect(await rejection(lastValueFrom(replay$))).toBe(mine);
  expect(reports.at(-1)).toMatchObject({ found: 3, read: 1, done: 1 });
  expect(bodies(queue, 'dead')).toEqual(['orders', 'orders']);
  for (const look$ of [letters.look({ where }), letters.groups({ where }), letters.drop({ where })]) {
    asked = 1;
    expect(await rejection(lastValueFrom<unknown>(look$))).toBe(mine);
  }
  expect(bodies(queue, 'dead')).toEqual(['orders', 'orders']);
});

it.each<[string, (letters: DeadLetters) => Observable<unknown>]>([
  ['look', (letters) => letters.look()],
  ['count', (letters) => letters.groups()],
  ['replay', (letters) => letters.replay()],
  ['drop', (letters) => letters.drop()],
])('a %s that is left while its queue is opened does not hold up the end of the connection', async (_, work) => {
  const queue = await given('orders');
  await failedIn(queue, 'orders');
  const scan = jest.spyOn(queue.admin, 'scan');
  work(deadLetters(queue, 'dead')).subscribe().unsubscribe();
  await scan.mock.results[0]?.value;
  const began = performance.now();
  await queue.close({ drainTimeout: 3000 });
  expect(performance.now() - began).toBeLessThan(2000);
  expect(bodies(queue, 'dead')).toEqual(['orders']);
});
