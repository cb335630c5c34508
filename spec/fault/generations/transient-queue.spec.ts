import { Connection, OptionsError, consume } from 'instance-queue';
import { connect } from 'amqplib';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { isAtLeast } from '../../support/brokers/version';
import { eventually, rejection } from '../../support/waiting';

// https://www.rabbitmq.com/docs/deprecated-features
describe('a transient queue that is not exclusive', () => {
  const broker = privateBroker();
  /** Not every release of 4.x denies them by default, but all do if configured to, from the next start on. */
  const deniable = isAtLeast(broker, '4.0');
  const configure = async (how: string): Promise<void> => {
    if (!deniable) return;
    await broker.ctl('eval', how);
    await broker.stopApp();
    await broker.startApp();
  };
  beforeAll(async () => {
    // The broker does not start while one is in use, and those of earlier tests may still be being deleted.
    await eventually(async () => (await broker.queues()).every(({ durable }) => durable));
    await configure('application:set_env(rabbit, permit_deprecated_features, #{transient_nonexcl_queues => false}).');
  });
  afterAll(async () => {
    await closeAll();
    await configure('application:unset_env(rabbit, permit_deprecated_features).');
  });

  it('closes the connection of its client where it is denied (541, from 4.0 on), so that the library never declares one', async () => {
    const name = uniqueName('transient');
    const raw = await connect(broker.url);
    const ends: unknown[] = [];
    raw.on('error', (error: unknown) => ends.push(error));
    const channel = await raw.createChannel();
    channel.on('error', () => undefined);
    const declared = channel.assertQueue(name, { durable: false, exclusive: false });
    if (deniable) {
      await rejection(declared);
      await eventually(() => ends.length > 0);
      expect(ends).toMatchObject([{ code: 541 }]);
    } else {
      await declared;
      await channel.deleteQueue(name);
      await raw.close();
    }

    const connection = closing(new Connection(broker.url));
    expect(() => consume(connection, { queue: { name, durable: false } })).toThrow(OptionsError);
    const { error } = collect(consume(connection, { queue: { name, durable: false, exclusive: true } }));
    await eventually(async () => (await broker.consumers()).some(({ queue }) => queue === name));
    expect(error).toBeUndefined();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });
});
