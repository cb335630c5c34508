import { handle, type LogEntry, type Message } from 'instance-queue';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { eventually } from '../../support/waiting';

describe('a message that is forwarded with the headers it was delivered with', () => {
  const given = rabbitmqFixture();

  it('may expire again in the queues that it expired in before', async () => {
    const { bystander, newClient } = given;
    // From `first` to `second` to `last` by expiring. RabbitMQ before 4.0 drops a message that would do so twice.
    const [first, second, last] = [bystander.freeQueueName(), bystander.freeQueueName(), bystander.freeQueueName()];
    const end = bystander.freeQueueName();
    const expiring = (name: string, next: string) => ({ name, messageTtl: 20, deadLetter: { queue: next } });
    const client = newClient({
      topology: { queues: [{ name: last }, expiring(second, last), expiring(first, second)] },
    });
    const rounds: Message<unknown>[] = [];
    const forward = async (message: Message<unknown>): Promise<void> => {
      rounds.push(message);
      const { body, properties } = message;
      await client.send({ ...properties, queue: rounds.length < 4 ? first : end, body });
    };
    collect(client.consume({ queue: last }).pipe(handle(forward)));
    await client.send({ queue: first, body: 1, headers: { mine: true } });
    await eventually(() => rounds.length === 4);
    expect(rounds.map(({ properties }) => properties.headers?.['mine'])).toEqual([true, true, true, true]);
  });

  it('is a first delivery, whatever the broker counted before', async () => {
    const { bystander, newClient } = given;
    const client = newClient();
    const [from, to] = [bystander.freeQueueName(), await bystander.declareQueue()];
    let runs = 0;
    const work = async ({ body, properties }: Message<unknown>): Promise<void> => {
      if (++runs < 3) throw new Error('not yet');
      await client.send({ ...properties, queue: to, body });
    };
    collect(client.consume({ queue: { name: from, type: 'quorum' } }).pipe(handle(work, { onError: 'requeue' })));
    await client.send({ queue: from, body: 1 });
    const { values } = collect(client.consume({ queue: to }));
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ redelivered: false, deliveryCount: 0 });
  });

  it('leaves out what only brokers may write, which is logged once per connection', async () => {
    const { bystander, newClient } = given;
    const log: LogEntry[] = [];
    const client = newClient({ logger: (entry) => log.push(entry) });
    const queue = await bystander.declareQueue();
    const headers = { mine: 1, 'x-death': [{ queue: 'orders' }], 'x-delivery-count': 3 };
    for (const messageId of ['a', 'b']) await client.send({ queue, body: 1, messageId, headers });
    const messages = await bystander.takeAtLeast(queue, 2);
    expect(messages.map(({ properties }) => properties.headers)).toEqual([{ mine: 1 }, { mine: 1 }]);
    expect(Object.keys(headers)).toHaveLength(3);
    const removed = log.filter(({ message }) => message === 'headers that only brokers may write are not sent');
    expect(removed).toMatchObject([
      { level: 'info', fields: { messageId: 'a', headers: ['x-death', 'x-delivery-count'] } },
    ]);
  });
});
