import { Producer, defineExchange, json, type ProducerOptions } from 'instance-queue';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { publishError } from '../../support/publish-error';

const { start } = fakeBrokerFixture();

const LATE = { name: 'late', type: 'x-delayed-message', arguments: { 'x-delayed-type': 'direct' } };
const message = { exchange: 'late', routingKey: 'k' as const, headers: { 'x-delay': 100 }, body: 1 };

/**
 * The plugin has no queue for a message until its time has come, so that the broker returns every mandatory one at once.
 * https://github.com/rabbitmq/rabbitmq-delayed-message-exchange#performance-impact
 */
async function withPlugin(options: ProducerOptions = {}) {
  const { fake, connection } = await start((broker) => {
    broker.onMethod('basic.publish', () => {
      const published = broker.published.at(-1);
      if (published?.mandatory === true && published.exchange === 'late') broker.sendReturn(published);
      return 'default';
    });
  });
  const mandatory = (): (boolean | undefined)[] =>
    fake.clients.flatMap(({ published }) => published.map((one) => one.mandatory));
  return { mandatory, producer: closing(new Producer(connection, options)) };
}

test('a message to an exchange that the topology declares as delaying is not mandatory', async () => {
  const { mandatory, producer } = await withPlugin({ topology: { exchanges: [LATE] } });
  expect(await producer.send(message)).toMatchObject({ attempts: 1 });
  await producer.send({ exchange: 'other', body: 1 });
  expect(mandatory()).toEqual([false, true]);
});

test('nor is one to the contract of such an exchange', async () => {
  const { mandatory, producer } = await withPlugin();
  const late = defineExchange({ ...LATE, messages: { k: json() } });
  expect(await producer.send({ ...message, exchange: late })).toMatchObject({ attempts: 1 });
  expect(mandatory()).toEqual([false]);
});

test('`mandatory: true` of the message itself holds, and the error says what returns it', async () => {
  const { mandatory, producer } = await withPlugin({ topology: { exchanges: [LATE] } });
  const error = await publishError(producer.send({ ...message, mandatory: true }));
  expect(error.code).toBe('PUBLISH_RETURNED');
  expect(error.message).toMatch(/An exchange that delays messages returns every one of them at once/);
  expect(mandatory()).toEqual([true]);
});

test('where the topology is silent, the error names the type and the way out', async () => {
  const { producer } = await withPlugin();
  const error = await publishError(producer.send(message));
  expect(error).toMatchObject({ code: 'PUBLISH_RETURNED', replyCode: 312 });
  expect(error.message).toMatch(/declare its type in the topology, or send with `mandatory: false`/);
  expect(await producer.send({ ...message, mandatory: false })).toMatchObject({ attempts: 1 });
});
