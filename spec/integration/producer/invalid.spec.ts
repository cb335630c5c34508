import { InstanceQueue, type OutboundMessage } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { closing } from '../../support/closing';
import { producingFixture } from '../../support/fixtures/producing';
import { publishError } from '../../support/publish-error';

const given = producingFixture();

const circular: Record<string, unknown> = { name: 'loop' };
circular['self'] = circular;

const INVALID: readonly (readonly [what: string, message: object, sentence: RegExp])[] = [
  ['a header of 70 KiB', { headers: { big: 'x'.repeat(70 * 1024) } }, /headers .* at most 65536 fit/],
  ['headers of 70 KiB together', { headers: { a: 'x'.repeat(35_000), b: Buffer.alloc(35_000) } }, /at most 65536 fit/],
  ['a header that is a function', { headers: { f: () => 1 } }, /`headers\.f` is a function/],
  ['a header that is a symbol', { headers: { s: Symbol('s') } }, /`headers\.s` is a symbol/],
  ['a header that is a bigint', { headers: { n: 1n } }, /`headers\.n` is a bigint/],
  ['a header that is NaN', { headers: { n: NaN } }, /`headers\.n` is NaN/],
  ['a header that is Infinity', { headers: { n: Infinity } }, /`headers\.n` is Infinity/],
  ['a double that is NaN', { headers: { n: { '!': 'double', value: NaN } } }, /`headers\.n\.value` is NaN/],
  ['a float beyond 32 bits', { headers: { n: { '!': 'float', value: 1e39 } } }, /`headers\.n\.value` is 1e\+39/],
  ['a header that is an invalid Date', { headers: { at: new Date(NaN) } }, /`headers\.at` is an invalid Date/],
  ['a header that is a Map', { headers: { map: new Map() } }, /`headers\.map` is a Map/],
  ['headers that contain themselves', { headers: circular }, /contains itself/],
  ['a header with a key of 256 bytes', { headers: { ['k'.repeat(256)]: 1 } }, /key of 256 bytes/],
  ['a message id of 256 bytes', { messageId: 'm'.repeat(256) }, /`messageId`.*255 bytes/],
  ['a correlation id of 128 two-byte letters', { correlationId: 'ä'.repeat(128) }, /`correlationId`.*255 bytes/],
  ['a timestamp that is an invalid Date', { timestamp: new Date(NaN) }, /`timestamp` to be a valid Date/],
  ['a timestamp that is a number', { timestamp: 1 }, /`timestamp` to be a valid Date/],
  ['a negative expiration', { expiration: -1 }, /`expiration`/],
  ['a priority of 256', { priority: 256 }, /`priority` to be an integer from 0 to 255/],
  ['headers that are a list', { headers: [1] }, /`headers` to be an object/],
  ['an unknown property', { corelationId: 'x' }, /Unknown option `corelationId`.*Did you mean `correlationId`\?/],
  ['both routes', { exchange: 'e' }, /got both/],
  ['a routing key beside a queue', { routingKey: 'k' }, /Expected no `routingKey`/],
  ['neither route', { queue: undefined }, /got neither/],
  ['a queue without a name', { queue: '' }, /needs the name of a queue/],
  ['a queue name of 256 bytes', { queue: 'q'.repeat(256) }, /`queue`.*255 bytes/],
  [
    'a routing key of 300 bytes',
    { queue: undefined, exchange: 'e', routingKey: 'r'.repeat(300) },
    /`routingKey`.*255 bytes/,
  ],
  ['a body that has no JSON form', { body: () => 1 }, /codec cannot encode the body/],
  ['a body that contains itself', { body: circular }, /codec cannot encode the body/],
  ['no body at all', { body: undefined }, /codec cannot encode the body/],
];

test('an invalid message rejects at once, and affects neither the connection nor other messages', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient();
  await client.send({ queue, body: 'first' });
  let settled = 0;
  const neighbours: Promise<unknown>[] = [];
  for (const [index, [what, wrong, sentence]] of INVALID.entries()) {
    const neighbour = client.send({ queue, body: index }).then(() => settled++);
    neighbour.catch(() => undefined);
    neighbours.push(neighbour);
    // Some of these do not compile, but callers in JavaScript can write them.
    const message = { queue, body: what, ...wrong } as OutboundMessage;
    const before = settled;
    const error = await publishError(client.send(message));
    // Refused by the client: no confirm of another message arrived in between.
    expect(settled).toBe(before);
    expect([what, error.code, error.maybeDelivered, error.retryable]).toEqual([what, 'PUBLISH_INVALID', false, false]);
    expect(error.message).toMatch(sentence);
    expect(error.message.length).toBeLessThan(1000);
  }
  await Promise.all(neighbours);
  expect(bodies(await bystander.takeAll(queue))).toEqual(['first', ...INVALID.map((_, index) => index)]);
  expect(client.state.producer).toMatchObject({ status: 'connected', epoch: 1 });
  expect(client.metrics).toMatchObject({ sent: INVALID.length + 1, resent: 0, reopens: 0, timedOut: 0 });
});

test('a message that is not an object rejects, too', async () => {
  const client = given.newClient();
  for (const nonsense of [undefined, null, 'text', 7, []]) {
    const error = await publishError(client.send(nonsense as unknown as OutboundMessage));
    expect(error.code).toBe('PUBLISH_INVALID');
  }
  await client.close();
  for (const nonsense of [undefined, null, 'text', 7, []]) {
    expect((await publishError(client.send(nonsense as unknown as OutboundMessage))).code).toBe('PUBLISH_CLOSED');
  }
});

test('headers larger than the negotiated frame size reject', async () => {
  const { url, bystander, queue } = given;
  const small = new URL(url);
  small.searchParams.set('frameMax', '8192');
  const client = closing(new InstanceQueue(small.href));
  const neighbours = [1, 2, 3].map((body) => client.send({ queue, body }));
  const error = await publishError(client.send({ queue, body: 'big', headers: { big: 'x'.repeat(20 * 1024) } }));
  expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false });
  expect(error.message).toMatch(/frames of 8192/);
  await Promise.all(neighbours);
  await client.send({ queue, body: Buffer.alloc(100_000), headers: { fits: 'x'.repeat(7_000) } });
  expect((await bystander.count(queue)).ready).toBe(4);
  expect(client.state.producer).toMatchObject({ epoch: 1 });
});

test('headers are accepted up to the last byte that fits into a frame', async () => {
  const { url, queue } = given;
  const small = new URL(url);
  small.searchParams.set('frameMax', '8192');
  const client = closing(new InstanceQueue(small.href));
  let taken = 0;
  let refused = 0;
  for (let size = 7900; size < 8192; size += 4) {
    const sent = await client.send({ queue, body: 1, headers: { h: 'x'.repeat(size) } }).then(
      () => true,
      () => false,
    );
    if (sent) taken++;
    else refused++;
  }
  expect(taken).toBeGreaterThan(30);
  expect(refused).toBeGreaterThan(5);
  expect(client.metrics.sent).toBe(taken);
  expect(client.state.producer).toMatchObject({ status: 'connected', epoch: 1 });
});

test('a header of 60 KiB fits into a frame of the default size', async () => {
  const { bystander, newClient, queue } = given;
  const client = newClient();
  await client.send({ queue, body: 1, headers: { big: 'x'.repeat(60 * 1024) } });
  const [message] = await bystander.takeAll(queue);
  expect(message!.properties.headers?.['big']).toHaveLength(60 * 1024);
});
