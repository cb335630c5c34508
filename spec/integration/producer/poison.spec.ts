import { Connection, InstanceQueue, Producer, type OutboundMessage } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { bodies, ids } from '../../support/brokers/messages';
import { outcomes, publishError } from '../../support/publish-error';

const broker = privateBroker();
const { url } = broker;
let bystander: Bystander;
let queue: string;
let front: InstanceQueue;

beforeEach(async () => {
  bystander = closing(await Bystander.at(url));
  queue = await bystander.declareQueue();
  front = closing(new InstanceQueue(url));
  await front.send({ queue, body: 'warm' });
  await bystander.takeAll(queue);
});
afterEach(closeAll);

/** Fifty good messages in flight with bad ones among them: what became of the bad ones, once the good ones are there. */
async function among(bad: readonly OutboundMessage[]): Promise<Promise<unknown>[]> {
  const good = Array.from({ length: 50 }, (_, i) => i);
  const sends = good.slice(0, 25).map((body) => front.send({ queue, body }));
  const poisoned = bad.map((message) => front.send(message));
  const settled = outcomes(poisoned);
  sends.push(...good.slice(25).map((body) => front.send({ queue, body })));
  expect(await outcomes(sends)).toEqual(good.map(() => 'confirmed'));
  await settled;
  const arrived = await bystander.takeAll(queue);
  const byId = new Map(ids(arrived).map((id, i) => [id, bodies(arrived)[i]]));
  // A resend may make a copy, but under the same id, and no copy comes before the first of an older message.
  expect([...byId.values()]).toEqual(good);
  expect(front.state.producer).toMatchObject({ status: 'connected', epoch: 1 });
  return poisoned;
}

test('a message to a missing exchange is rejected alone; its neighbours are confirmed', async () => {
  const exchange = uniqueName('missing');
  const [sent] = await among([{ exchange, body: 'bad', messageId: 'bad' }]);
  const error = await publishError(sent!);
  expect(error).toMatchObject({
    code: 'PUBLISH_REFUSED',
    replyCode: 404,
    messageId: 'bad',
    maybeDelivered: false,
    retryable: false,
  });
  expect(error.message).toContain(`exchange \`${exchange}\``);
  expect(error.cause).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
});

test('two messages to two missing exchanges are rejected, each for its own', async () => {
  const [one, two] = await among([
    { exchange: 'missing-one', body: 1 },
    { exchange: 'missing-two', body: 2 },
  ]);
  expect((await publishError(one!)).message).toContain('missing-one');
  expect((await publishError(two!)).message).toContain('missing-two');
  expect(await publishError(two!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
});

test('messages to an internal exchange are rejected, and nothing else is', async () => {
  const exchange = bystander.freeExchangeName();
  await bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout', { internal: true }));
  const sent = await among([
    { exchange, body: 1 },
    { exchange, body: 2 },
  ]);
  expect(await outcomes(sent)).toEqual(['PUBLISH_REFUSED', 'PUBLISH_REFUSED']);
  expect(await publishError(sent[0]!)).toMatchObject({ replyCode: 403 });
});

test('a message under the name of another user is rejected alone', async () => {
  const [sent] = await among([{ queue, body: 'bad', userId: 'somebody-else' }]);
  expect(await publishError(sent!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 406 });
});

test('a message to an exchange that the user may not write to is rejected alone', async () => {
  const forbidden = bystander.deletesExchange('forbidden-exchange');
  await bystander.onChannel((channel) => channel.assertExchange(forbidden, 'fanout'));
  await broker.ctl('add_user', queue, 'secret');
  await broker.ctl('set_permissions', queue, '.*', '^(?!forbidden).*$', '.*');
  const target = new URL(url);
  target.username = queue;
  target.password = 'secret';
  await front.close();
  front = new InstanceQueue(target.href);
  try {
    await front.send({ queue, body: 'warm' });
    await bystander.takeAll(queue);
    const [sent] = await among([{ exchange: forbidden, body: 'bad' }]);
    expect(await publishError(sent!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 403 });
  } finally {
    await front.close();
    await broker.ctl('delete_user', queue);
  }
});

test('a message larger than the broker takes is rejected alone', async () => {
  const usual = await broker.ctl('eval', 'application:get_env(rabbit, max_message_size).');
  const [, bytes = ''] = /ok,(\d+)/.exec(usual) ?? [];
  expect(bytes).not.toBe('');
  await broker.ctl(
    'eval',
    'application:set_env(rabbit, max_message_size, 1000), persistent_term:put(max_message_size, 1000).',
  );
  // A channel learns of the limit when it is opened.
  await front.close();
  front = closing(new InstanceQueue(url));
  try {
    await front.send({ queue, body: 'warm' });
    await bystander.takeAll(queue);
    const [sent] = await among([{ queue, body: Buffer.alloc(1001) }]);
    expect(await publishError(sent!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 406, maybeDelivered: false });
    expect((await publishError(sent!)).message).toContain('1001');
  } finally {
    await broker.ctl(
      'eval',
      `application:set_env(rabbit, max_message_size, ${bytes}), persistent_term:put(max_message_size, ${bytes}).`,
    );
  }
});

test('the culprit is known even if nobody waits for it any more', async () => {
  const producer = closing(new Producer(closing(new Connection(url))));
  await producer.send({ queue, body: 'warm' });
  const abort = new AbortController();
  const bad = producer.send({ exchange: 'missing', body: 'bad' }, { signal: abort.signal });
  const good = producer.send({ queue, body: 'good' });
  abort.abort();
  expect(await publishError(bad)).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true });
  expect(await good).toMatchObject({ attempts: 2 });
});
