import { ChannelError, Connection, consume, type QueueSpec } from 'instance-queue';
import { defer, firstValueFrom, lastValueFrom, timer } from 'rxjs';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection } from '../../support/waiting';

/** Queues of no use without their consumer must not outlive an attach that came to nothing. */
describe('an attach that is given up', () => {
  const broker = privateBroker();
  afterEach(closeAll);
  let connection: Connection;
  beforeEach(async () => {
    connection = closing(new Connection(broker.url));
    await connection.connect();
  });
  const queues = async (): Promise<string[]> => (await broker.queues()).map(({ name }) => name);

  it.each<[string, () => QueueSpec | string]>([
    ['named by the broker', () => ''],
    ['exclusive', () => ({ name: uniqueName('exclusive'), exclusive: true })],
    ['auto-delete', () => ({ name: uniqueName('auto'), autoDelete: true })],
  ])('leaves no queue behind that is %s, however far it had come', async (_kind, spec) => {
    const before = await queues();
    for (let i = 0; i < 20; i++) {
      const subscription = consume(connection, { queue: spec() }).subscribe();
      // At once, and after one to a few round trips.
      if (i % 5 > 0) await firstValueFrom(defer(() => timer(i % 5)));
      subscription.unsubscribe();
    }
    await eventually(async () => (await queues()).length === before.length);
    expect(await queues()).toEqual(before);
  });

  it('leaves none behind when it is refused', async () => {
    const side = await Bystander.at(broker.url);
    const name = side.freeExchangeName();
    const topology = { exchanges: [{ name, type: 'direct' }] };
    const before = await queues();
    const error = await rejection(
      lastValueFrom(
        consume(connection, {
          queue: { name: '' },
          topology: { ...topology, bindings: [{ exchange: name, queue: '' }] },
          arguments: { 'x-priority': 'not a number' },
        }),
      ),
    );
    expect(error).toBeInstanceOf(ChannelError);
    await eventually(async () => (await queues()).length === before.length);
    await side.close();
  });

  it('keeps an auto-delete queue that holds messages for the next consumer', async () => {
    const side = await Bystander.at(broker.url);
    const name = await side.declareQueue({ autoDelete: true }, uniqueName('auto'));
    await side.put(name, 'waiting');
    for (let i = 0; i < 10; i++)
      consume(connection, { queue: { name, autoDelete: true } })
        .subscribe()
        .unsubscribe();
    const { body } = await firstValueFrom(consume(connection, { queue: { name, autoDelete: true } }));
    expect(body).toBe('waiting');
    await side.close();
  });
});
