import { FakeInstanceQueue } from 'instance-queue/testing';
import { ChannelError } from 'instance-queue';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sendCommand, tailCommand } from '../../../lib/cli/message-commands';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';
import { type RunOptions, runOver, surroundings } from '../../support/surroundings';
import { eventually } from '../../support/waiting';

afterEach(closeAll);

async function given(): Promise<FakeInstanceQueue> {
  const queue = closing(new FakeInstanceQueue());
  await queue.admin.declare({
    exchanges: [{ name: 'events', type: 'topic' }],
    queues: [{ name: 'orders' }],
    bindings: [{ exchange: 'events', queue: 'orders', routingKey: 'order.*' }],
  });
  return queue;
}

describe('send', () => {
  const send = (queue: FakeInstanceQueue, args: string[], options?: RunOptions) =>
    runOver(queue, sendCommand, args, options);

  it.each([
    ['{"id":1}', [], 'application/json'],
    ['text', [], 'text/plain'],
    ['{"id":1}', ['--content-type', 'text/x-order'], 'text/x-order'],
  ])('%j with %j is of the type %s', async (body, args, contentType) => {
    const queue = await given();
    const { code, out, err } = await send(queue, ['--queue', 'orders', '--body', body, ...args]);
    expect([code, err]).toEqual([0, '']);
    const [message] = queue.broker.messages('orders');
    expect(message).toMatchObject({ content: Buffer.from(body), properties: { contentType } });
    expect(out).toBe(`confirmed: ${message?.properties.messageId ?? ''}\n`);
  });

  it('has the properties that are given, and no others', async () => {
    const queue = await given();
    const more = ['--id', 'm1', '--type', 'order', '--header', 'a=1', '--header', 'b=2'];
    const { out } = await send(queue, ['--exchange', 'events', '--key', 'order.paid', '--body', '', ...more], {
      json: true,
    });
    expect(out).toBe('{"messageId":"m1"}\n');
    await send(queue, ['--queue', 'orders', '--body', 'x']);
    const [one, two] = queue.broker.messages('orders');
    expect(one).toMatchObject({
      routingKey: 'order.paid',
      properties: { messageId: 'm1', type: 'order', headers: { a: '1', b: '2' } },
    });
    expect(one?.content).toHaveLength(0);
    expect(two?.properties.type).toBeUndefined();
  });

  it('takes its body from a file, or from standard input', async () => {
    const queue = await given();
    const folder = mkdtempSync(join(tmpdir(), 'send-'));
    try {
      writeFileSync(join(folder, 'body'), Buffer.from([0xff, 0]));
      await send(queue, ['--queue', 'orders', '--file', join(folder, 'body')]);
      const missing = await send(queue, ['--queue', 'orders', '--file', join(folder, 'none')]);
      expect(missing).toMatchObject({ code: 2, out: '' });
      expect(missing.err).toMatch(/^error: --file: .*ENOENT/);
    } finally {
      rmSync(folder, { recursive: true });
    }
    const around = surroundings();
    around.stdin.end('typed');
    await send(queue, ['--queue', 'orders', '--file', '-'], { around });
    const contents = queue.broker.messages('orders').map(({ content }) => content.toString('latin1'));
    expect(contents).toEqual(['\u00ff\u0000', 'typed']);
  });

  it.each([
    [['--body', 'x'], 'where to? Give --queue or --exchange'],
    [['--body', 'x', '--queue', 'orders', '--exchange', 'events'], 'where to? Give --queue or --exchange'],
    [['--queue', 'orders'], 'what? Give --body or --file'],
    [['--queue', 'orders', '--body', 'x', '--file', '-'], 'what? Give --body or --file'],
    [['--queue', 'orders', '--body', 'x', '--key', 'k'], '--key is for --exchange: a queue has no routing key'],
  ])('with %j is refused', async (args, words) => {
    const queue = await given();
    expect(await send(queue, args)).toEqual({ code: 2, out: '', err: `error: ${words}\n` });
    expect(queue.broker.messages('orders')).toEqual([]);
  });

  it.each([
    ['a queue', ['--queue', 'none'], 'queue `none`: 312 NO_ROUTE. Send with `mandatory: false`'],
    ['an exchange', ['--exchange', 'none'], 'exchange `none`'],
    ['a binding', ['--exchange', 'events', '--key', 'nothing'], 'Is the binding there?'],
  ])('declares nothing: where %s is missing, the message is refused, and why', async (_, args, words) => {
    const { code, out, err } = await send(await given(), ['--body', 'x', ...args]);
    expect([code, out]).toEqual([6, '']);
    expect(err).toMatch(/^error: /);
    expect(err).toContain(words);
  });
});

it('a send that the broker does not confirm ends by Ctrl-C', async () => {
  const queue = await given();
  await queue.admin.declare({ queues: [{ name: 'full', maxLength: 1, overflow: 'reject-publish' }] });
  await queue.send({ queue: 'full', body: 'there' });
  const interrupted = new AbortController();
  const ended = runOver(queue, sendCommand, ['--queue', 'full', '--body', 'x'], { interrupted: interrupted.signal });
  await eventually(() => queue.metrics.nacked > 0);
  interrupted.abort();
  expect(await ended).toEqual({ code: 130, out: '', err: '' });
});

describe('tail', () => {
  const tail = (queue: FakeInstanceQueue, args: string[], options?: RunOptions) =>
    runOver(queue, tailCommand, args, options);
  /** Sends when something follows the exchange. */
  async function publish(queue: FakeInstanceQueue, ...keys: string[]): Promise<void> {
    await eventually(() => queue.health.consumers.some(({ status }) => status === 'attached'));
    for (const routingKey of keys) await queue.send({ exchange: 'events', routingKey, body: routingKey });
  }

  it('shows what is published to an exchange, and leaves it in its queues', async () => {
    const queue = await given();
    const around = surroundings({ isTTY: true });
    const ended = tail(queue, ['events', '--limit', '2'], { around });
    await publish(queue, 'order.paid', 'order.sent');
    const { code, out, err } = await ended;
    expect(code).toBe(0);
    expect(out).toMatch(
      / {2}events → order\.paid\n[^]*"order\.paid"\n\n.* {2}events → order\.sent\n[^]*"order\.sent"\n\n$/,
    );
    expect(err).toContain('following events; Ctrl-C ends it');
    expect(queue.broker.messages('orders')).toHaveLength(2);
  });

  it('shows what has one of the keys, as JSON line by line', async () => {
    const queue = await given();
    const ended = tail(queue, ['events', '--key', 'order.paid', '--key', '*.sent', '--limit', '2'], { json: true });
    await publish(queue, 'order.paid', 'order.other', 'order.sent');
    const { out } = await ended;
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(lines).toMatchObject([
      { exchange: 'events', routingKey: 'order.paid', body: '"order.paid"' },
      { exchange: 'events', routingKey: 'order.sent', body: '"order.sent"' },
    ]);
  });

  it('reads a stream, from where it is told', async () => {
    const queue = await given();
    await queue.admin.declare({ queues: [{ name: 'audit', type: 'stream' }] });
    for (const body of [0, 1, 2]) await queue.send({ queue: 'audit', body });
    const bodies = async (from: string, limit: number): Promise<string> =>
      (await tail(queue, ['audit', '--stream', '--from', from, '--limit', String(limit)], { json: true })).out;
    expect(await bodies('first', 3)).toMatch(/"body":"0".*\n.*"body":"1".*\n.*"body":"2".*\n$/);
    expect(await bodies('2', 1)).toMatch(/^[^\n]*"offset":2[^\n]*"body":"2"[^\n]*\n$/);
  });

  it('ends by Ctrl-C', async () => {
    const queue = await given();
    const interrupted = new AbortController();
    const ended = tail(queue, ['events'], { interrupted: interrupted.signal });
    await eventually(() => queue.health.consumers.some(({ status }) => status === 'attached'));
    interrupted.abort();
    expect(await ended).toEqual({ code: 130, out: '', err: '' });
  });

  it('ends by a Ctrl-C that comes before it follows anything', async () => {
    const queue = await given();
    const interrupted = new AbortController();
    const ended = tail(queue, ['events'], { interrupted: interrupted.signal });
    interrupted.abort();
    expect((await ended).code).toBe(130);
    expect(queue.health.consumers).toEqual([]);
  });

  it('of what does not exist is refused', async () => {
    expect(await tail(await given(), ['none'])).toEqual({
      code: 6,
      out: '',
      err: 'error: There is no exchange and no queue `none` in this virtual host.\n',
    });
  });

  it.each([
    [['orders', '--key', 'k'], '--key is for an exchange, and `orders` is a queue'],
    [['audit', '--stream', '--key', 'k'], '--key is for an exchange, and `audit` is a stream'],
    [['events', '--from', 'first'], '--from is for a stream, and `events` is an exchange'],
    [['events', '--stream', '--queue'], '--stream and --queue exclude each other'],
    [[''], 'what to follow? Give the name of an exchange, a queue or a stream'],
  ])('with %j is refused', async (args, words) => {
    const options = { management: 'http://127.0.0.1:1' };
    expect(await tail(await given(), args, options)).toEqual({ code: 2, out: '', err: `error: ${words}\n` });
  });

  it('of a name that an exchange and a queue have says which it follows, and follows the other if told', async () => {
    const queue = await given();
    await queue.admin.declare({ queues: [{ name: 'events' }] });
    const ended = tail(queue, ['events', '--limit', '1']);
    await publish(queue, 'a');
    expect(await ended).toMatchObject({
      code: 0,
      err: '`events` is an exchange and a queue: following the exchange; --queue follows the queue\n',
    });
    const told = await tail(queue, ['events', '--queue'], { management: 'http://127.0.0.1:1' });
    expect(told.err).toContain('`events` is a queue');
  });

  it('of a name that may not be looked up is refused as that', async () => {
    const queue = await given();
    const denied = new ChannelError("ACCESS_REFUSED - access to exchange 'events' refused", { replyCode: 403 });
    jest.spyOn(queue.admin, 'declare').mockRejectedValue(denied);
    const { code, out, err } = await tail(queue, ['events']);
    expect([code, out]).toEqual([5, '']);
    expect(err).toContain('ACCESS_REFUSED');
  });

  it('of a queue is of what goes to it through its bindings', async () => {
    const queue = await given();
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      const row = { source: 'events', destination: 'orders', destination_type: 'queue', routing_key: 'order.*' };
      const isList = request.url?.endsWith('/bindings') === true;
      response.end(JSON.stringify(isList ? [{ ...row, arguments: {} }] : { name: 'orders', type: 'classic' }));
    });
    const options = { json: true, url: 'amqp://localhost/shop', management: await listening(server) };
    const ended = tail(queue, ['orders', '--limit', '1'], options);
    await publish(queue, 'order.paid');
    const { code, out, err } = await ended;
    expect([code, err]).toEqual([0, '']);
    expect(JSON.parse(out)).toMatchObject({ exchange: 'events', routingKey: 'order.paid' });
    expect(asked[0]).toBe('/api/queues/shop/orders');
  });

  it('of a queue that no exchange leads to is refused as that', async () => {
    const server = createServer((request, response) => {
      response.end(request.url?.endsWith('/bindings') === true ? '[]' : '{"type":"classic"}');
    });
    const { code, err } = await tail(await given(), ['orders'], { management: await listening(server) });
    expect(code).toBe(2);
    expect(err).toContain('Queue `orders` has no binding that could be copied');
    expect(err).not.toContain('AMQP does not tell');
  });

  it('of a queue says what to do where its bindings cannot be read', async () => {
    const { code, err } = await tail(await given(), ['orders'], { management: 'http://127.0.0.1:1' });
    expect(code).toBe(2);
    expect(err).toContain(
      'error: `orders` is a queue, and AMQP does not tell what is bound to it. Name an exchange instead (tail EXCHANGE --key KEY), add --stream if it is a stream, or give --management URL. Cannot reach the management API at 127.0.0.1:1: ',
    );
  });
});
