import { ChannelError, OptionsError } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { tail, type TailOptions } from 'instance-queue/tools';
import { createServer } from 'node:http';
import { lastValueFrom } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';
import { collect } from '../../support/collect';
import { eventually, rejection } from '../../support/waiting';

afterEach(closeAll);

async function given(): Promise<FakeInstanceQueue> {
  const queue = closing(new FakeInstanceQueue());
  await queue.admin.declare({ exchanges: [{ name: 'events', type: 'topic' }] });
  return queue;
}
const attached = (queue: FakeInstanceQueue): Promise<unknown> =>
  eventually(() => queue.health.consumers.some(({ status }) => status === 'attached'));
const refusedExchange = (text: string): Error => new ChannelError(text, { replyCode: 406 });
/** The declaration by which the type of an exchange is found out. */
function typed(queue: FakeInstanceQueue, error: Error): void {
  const { declare } = queue.admin;
  jest.spyOn(queue.admin, 'declare').mockImplementation((topology, ...rest) => {
    const probe = topology.exchanges?.some((exchange) => exchange.internal === true) === true;
    return probe ? Promise.reject(error) : declare.call(queue.admin, topology, ...rest);
  });
}
const inequivalent = (type: string): string =>
  `PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'events' in vhost '/': received 'fanout' but current is '${type}'`;

it('an exchange is followed with all its messages, unless keys are given', async () => {
  const queue = await given();
  const [all, some] = [
    collect(tail(queue, { exchange: 'events' })),
    collect(tail(queue, { exchange: 'events', keys: ['a', 'c.*'] })),
  ];
  await eventually(() => queue.health.consumers.filter(({ status }) => status === 'attached').length === 2);
  for (const routingKey of ['a', 'b', 'c.d']) await queue.send({ exchange: 'events', routingKey, body: routingKey });
  await queue.rest();
  expect(all.values.map(({ routingKey }) => routingKey)).toEqual(['a', 'b', 'c.d']);
  expect(some.values.map(({ body }) => body.toString())).toEqual(['"a"', '"c.d"']);
  all.subscription.unsubscribe();
  some.subscription.unsubscribe();
});

it('a direct exchange has to be given keys: it gives `#` nothing', async () => {
  const queue = await given();
  await queue.admin.declare({ exchanges: [{ name: 'jobs', type: 'direct' }] });
  const error = await rejection(lastValueFrom(tail(queue, { exchange: 'jobs' })));
  expect(error).toBeInstanceOf(OptionsError);
  expect(error).toMatchObject({ option: 'keys', message: expect.stringContaining('`direct`') as string });
  const seen = collect(tail(queue, { exchange: 'jobs', keys: ['a'] }));
  await attached(queue);
  await queue.send({ exchange: 'jobs', routingKey: 'a', body: 1 });
  await queue.rest();
  expect(seen.values).toHaveLength(1);
  seen.subscription.unsubscribe();
});

it('an exchange that does not exist is refused at once', async () => {
  const queue = await given();
  expect(await rejection(lastValueFrom(tail(queue, { exchange: 'none' })))).toMatchObject({ replyCode: 404 });
});

it.each(['x-random', 'x-local-random', 'x-consistent-hash', 'x-modulus-hash'])(
  'an exchange that gives each message to one binding is refused: %s, however the broker quotes it',
  async (type) => {
    for (const text of [inequivalent(type), inequivalent(`'${type}'`)]) {
      const queue = await given();
      typed(queue, refusedExchange(text));
      const error = await rejection(lastValueFrom(tail(queue, { exchange: 'events' })));
      expect(error).toBeInstanceOf(OptionsError);
      expect(error).toMatchObject({
        option: 'exchange',
        message: `Exchange \`events\` is of the type \`${type}\`, which gives each message to one of its bindings alone: what is followed would be missing elsewhere.`,
      });
    }
  },
);

it.each([
  ['of another type', inequivalent('headers')],
  ['whose type the broker does not tell', "ACCESS_REFUSED - access to exchange 'events' in vhost '/' refused"],
])('an exchange %s is followed', async (_, text) => {
  const queue = await given();
  typed(queue, refusedExchange(text));
  const seen = collect(tail(queue, { exchange: 'events' }));
  await attached(queue);
  await queue.send({ exchange: 'events', routingKey: 'a', body: 1 });
  await queue.rest();
  expect(seen.values).toHaveLength(1);
  seen.subscription.unsubscribe();
});

it('a stream is followed from its end, or from where it is told, and acknowledged', async () => {
  const queue = await given();
  await queue.admin.declare({ queues: [{ name: 'audit', type: 'stream' }] });
  await queue.send({ queue: 'audit', body: 0 });
  const next = collect(tail(queue, { stream: 'audit' }));
  const first = collect(tail(queue, { stream: 'audit', offset: 'first' }));
  await eventually(() => queue.health.consumers.filter(({ status }) => status === 'attached').length === 2);
  for (let body = 1; body <= 600; body++) await queue.send({ queue: 'audit', body });
  await eventually(() => first.values.length === 601);
  expect(next.values).toHaveLength(600);
  expect(first.values.slice(0, 2).map(({ offset, body }) => [offset, body.toString()])).toEqual([
    [0, '0'],
    [1, '1'],
  ]);
  next.subscription.unsubscribe();
  first.subscription.unsubscribe();
});

describe('a queue, by what the management API says of it,', () => {
  async function management(type: string, bindings: readonly object[]): Promise<{ readonly url: string }> {
    const server = createServer((request, response) => {
      const answer = request.url?.endsWith('/bindings') === true ? bindings : { name: 'orders', type };
      response.end(JSON.stringify(answer));
    });
    return { url: await listening(server) };
  }
  const bound = (source: string, routing_key: string, args: object = {}): object => ({
    source,
    destination: 'orders',
    destination_type: 'queue',
    routing_key,
    arguments: args,
  });

  it('is followed by a copy of its bindings, with their arguments, but for that of the default exchange', async () => {
    const queue = await given();
    await queue.admin.declare({ exchanges: [{ name: 'matched', type: 'headers' }] });
    const rows = [bound('', 'orders'), bound('events', 'a.*'), bound('matched', '', { 'x-match': 'all', tenant: 't' })];
    const seen = collect(tail(queue, { queue: 'orders', management: await management('classic', rows) }));
    await attached(queue);
    for (const routingKey of ['a.b', 'b']) await queue.send({ exchange: 'events', routingKey, body: 1 }).catch(() => 0);
    for (const tenant of ['t', 'u'])
      await queue.send({ exchange: 'matched', body: 1, headers: { tenant } }).catch(() => 0);
    await queue.rest();
    expect(
      seen.values.map(({ exchange, routingKey, properties }) => [exchange, routingKey, properties.headers]),
    ).toEqual([
      ['events', 'a.b', {}],
      ['matched', '', { tenant: 't' }],
    ]);
    seen.subscription.unsubscribe();
  });

  it('is followed as the stream that it is', async () => {
    const queue = await given();
    await queue.admin.declare({ queues: [{ name: 'orders', type: 'stream' }] });
    await queue.send({ queue: 'orders', body: 1 });
    const options = { queue: 'orders', offset: 'first', management: await management('stream', []) } as const;
    const seen = collect(tail(queue, options));
    await eventually(() => seen.values.length === 1);
    expect(seen.values).toMatchObject([{ offset: 0 }]);
    seen.subscription.unsubscribe();
  });

  it.each([
    [[], 'has no binding that could be copied', 'queue'],
    [[bound('', 'orders')], 'has no binding that could be copied', 'queue'],
    [[bound('events', 'a')], 'is of the type `x-random`', 'exchange'],
  ])('is refused with the bindings %j', async (rows, words, option) => {
    const queue = await given();
    typed(queue, refusedExchange(inequivalent('x-random')));
    const options = { queue: 'orders', management: await management('classic', rows) };
    const refused = await rejection(lastValueFrom(tail(queue, options)));
    expect(refused).toBeInstanceOf(OptionsError);
    expect(refused).toMatchObject({ option });
    expect(String(refused)).toContain(words);
  });
});

it.each<[string, unknown]>([
  ['Expected one of `exchange`, `queue` and `stream`.', {}],
  ['Expected one of `exchange`, `queue` and `stream`.', { exchange: 'a', stream: 'b' }],
  ['Expected one of `exchange`, `queue` and `stream`.', { exchange: 'a', queue: 'b' }],
  ['`management` to be given, to read the bindings of queue `orders`', { queue: 'orders' }],
  ['`management.url` to be an http:// or https:// URL', { queue: 'orders', management: { url: 'nowhere' } }],
  ['`keys`', { exchange: 'a', keys: 'b' }],
  ['`keys` to be at least one binding key', { exchange: 'a', keys: [] }],
  ['`keys` to be given beside `exchange` alone', { stream: 'a', keys: ['b'] }],
  ['`keys` to be given beside `exchange` alone', { queue: 'a', keys: ['b'], management: { url: 'http://localhost' } }],
  ['`offset` to be absent beside `exchange`', { exchange: 'a', offset: 'first' }],
  ['`stream`', { stream: 5 }],
  ['`exchange`', { exchange: 'a'.repeat(256) }],
  ['`exchange` to be a name', { exchange: '' }],
  ['`from` for tail()', { exchange: 'a', from: 1 }],
])('is refused at once, with %s (case %#)', (words, options) => {
  const made = (): unknown => tail(closing(new FakeInstanceQueue()), options as TailOptions);
  expect(made).toThrow(OptionsError);
  expect(made).toThrow(words);
});
