import { asUser } from '../../support/brokers/as-user';
import { closing } from '../../support/closing';
import { InstanceQueue, type OutboundMessage } from 'instance-queue';
import { bodies, ids } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { numbers } from '../../support/numbers';
import { outcomes, publishError } from '../../support/publish-error';
import { uniqueName } from '../../support/unique-name';

const given = producingFixture({ private: true });

let client: InstanceQueue;

beforeEach(async () => {
  client = given.newClient();
  await client.send({ queue: given.queue, body: 'warm' });
  await given.bystander.takeAll(given.queue);
});

/** Sends fifty good messages with bad ones among them; gives the sends of the bad ones once the good ones have arrived. */
async function sendAmongGood(bad: readonly OutboundMessage[]): Promise<Promise<unknown>[]> {
  const good = numbers(50);
  const sends = good.slice(0, 25).map((body) => client.send({ queue: given.queue, body }));
  const poisoned = bad.map((message) => client.send(message));
  const settled = outcomes(poisoned);
  sends.push(...good.slice(25).map((body) => client.send({ queue: given.queue, body })));
  expect(await outcomes(sends)).toEqual(good.map(() => 'confirmed'));
  await settled;
  const arrived = await given.bystander.takeAll(given.queue);
  const byId = new Map(ids(arrived).map((id, i) => [id, bodies(arrived)[i]]));
  // A resend may duplicate a message, under the same id, but no message overtakes an older one.
  expect([...byId.values()]).toEqual(good);
  expect(client.state.producer).toMatchObject({ status: 'connected', epoch: 1 });
  return poisoned;
}

test('a message to a missing exchange rejects, and the messages around it are confirmed', async () => {
  const exchange = uniqueName('missing');
  const [sent] = await sendAmongGood([{ exchange, body: 'bad', messageId: 'bad' }]);
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

test('two messages to two missing exchanges reject, each with its own cause', async () => {
  const [one, two] = await sendAmongGood([
    { exchange: 'missing-one', body: 1 },
    { exchange: 'missing-two', body: 2 },
  ]);
  expect((await publishError(one!)).message).toContain('missing-one');
  expect((await publishError(two!)).message).toContain('missing-two');
  expect(await publishError(two!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
});

test('messages to an internal exchange reject, and no others do', async () => {
  const exchange = given.bystander.freeExchangeName();
  await given.bystander.onChannel((channel) => channel.assertExchange(exchange, 'fanout', { internal: true }));
  const sent = await sendAmongGood([
    { exchange, body: 1 },
    { exchange, body: 2 },
  ]);
  expect(await outcomes(sent)).toEqual(['PUBLISH_REFUSED', 'PUBLISH_REFUSED']);
  expect(await publishError(sent[0]!)).toMatchObject({ replyCode: 403 });
});

test('a message with the user id of another user rejects, and no other does', async () => {
  const [sent] = await sendAmongGood([{ queue: given.queue, body: 'bad', userId: 'somebody-else' }]);
  expect(await publishError(sent!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 406 });
});

test('a message to an exchange without write permission rejects, and no other does', async () => {
  const { broker, bystander, queue } = given;
  const forbidden = bystander.deletesExchange('forbidden-exchange');
  await bystander.onChannel((channel) => channel.assertExchange(forbidden, 'fanout'));
  await client.close();
  await asUser(broker, { name: queue, configure: '.*', write: '^(?!forbidden).*$', read: '.*' }, async (userUrl) => {
    client = closing(new InstanceQueue(userUrl));
    await client.send({ queue, body: 'warm' });
    await bystander.takeAll(queue);
    const [sent] = await sendAmongGood([{ exchange: forbidden, body: 'bad' }]);
    expect(await publishError(sent!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 403 });
    await client.close();
  });
});

test('a message beyond the maximum size of the broker rejects, and no other does', async () => {
  const { broker, bystander, newClient, queue } = given;
  const usual = await broker.ctl('eval', 'application:get_env(rabbit, max_message_size).');
  const [, bytes = ''] = /ok,(\d+)/.exec(usual) ?? [];
  expect(bytes).not.toBe('');
  await broker.ctl(
    'eval',
    'application:set_env(rabbit, max_message_size, 1000), persistent_term:put(max_message_size, 1000).',
  );
  // The broker applies the limit to channels that are opened afterwards.
  await client.close();
  client = newClient();
  try {
    await client.send({ queue, body: 'warm' });
    await bystander.takeAll(queue);
    const [sent] = await sendAmongGood([{ queue, body: Buffer.alloc(1001) }]);
    expect(await publishError(sent!)).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 406, maybeDelivered: false });
    expect((await publishError(sent!)).message).toContain('1001');
  } finally {
    await broker.ctl(
      'eval',
      `application:set_env(rabbit, max_message_size, ${bytes}), persistent_term:put(max_message_size, ${bytes}).`,
    );
  }
});

test('a bad message is identified even after its send was aborted', async () => {
  const { queue, newProducer } = given;
  const producer = newProducer();
  await producer.send({ queue, body: 'warm' });
  const abort = new AbortController();
  const bad = producer.send({ exchange: 'missing', body: 'bad' }, { signal: abort.signal });
  const good = producer.send({ queue, body: 'good' });
  abort.abort();
  expect(await publishError(bad)).toMatchObject({ code: 'PUBLISH_ABORTED', maybeDelivered: true });
  expect(await good).toMatchObject({ attempts: 2 });
});
