import { ChannelError, consume, type Connection, type QueueSpec } from 'instance-queue';
import { defer, firstValueFrom, lastValueFrom, timer } from 'rxjs';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection } from '../../support/waiting';

/** A queue that is useless without its consumer must not outlive an attach that was abandoned. */
describe('an attach that is abandoned', () => {
  const given = rabbitmqFixture({ private: true });
  const { broker } = given;
  let connection: Connection;
  beforeEach(async () => {
    connection = given.newConnection();
    await connection.connect();
  });
  const queues = async (): Promise<string[]> => (await broker.queues()).map(({ name }) => name);

  it.each<[string, () => QueueSpec | string]>([
    ['named by the broker', () => ''],
    ['exclusive', () => ({ name: uniqueName('exclusive'), exclusive: true })],
    ['auto-delete', () => ({ name: uniqueName('auto'), autoDelete: true })],
  ])('leaves no queue that is %s, however far it got', async (_kind, spec) => {
    const before = await queues();
    for (let i = 0; i < 20; i++) {
      const subscription = consume(connection, { queue: spec() }).subscribe();
      // At once, or after a few round trips.
      if (i % 5 > 0) await firstValueFrom(defer(() => timer(i % 5)));
      subscription.unsubscribe();
    }
    await eventually(async () => (await queues()).length === before.length);
    expect(await queues()).toEqual(before);
  });

  it('leaves no queue if it is refused', async () => {
    const before = await queues();
    const exchange = given.bystander.freeExchangeName();
    const error = await rejection(
      lastValueFrom(
        consume(connection, {
          queue: { name: '' },
          topology: { exchanges: [{ name: exchange, type: 'direct' }], bindings: [{ exchange, queue: '' }] },
          arguments: { 'x-priority': 'not a number' },
        }),
      ),
    );
    expect(error).toBeInstanceOf(ChannelError);
    await eventually(async () => (await queues()).length === before.length);
  });

  it('keeps an auto-delete queue that holds messages for the next consumer', async () => {
    const name = await given.bystander.declareQueue({ autoDelete: true }, uniqueName('auto'));
    await given.bystander.put(name, 'waiting');
    for (let i = 0; i < 10; i++)
      consume(connection, { queue: { name, autoDelete: true } })
        .subscribe()
        .unsubscribe();
    const { body } = await firstValueFrom(consume(connection, { queue: { name, autoDelete: true } }));
    expect(body).toBe('waiting');
  });
});
