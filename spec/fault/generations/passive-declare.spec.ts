import { ChannelError, Connection, Consumer, consume } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { Bystander } from '../../support/brokers/bystander';
import { isAtLeast } from '../../support/brokers/version';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection, until } from '../../support/waiting';

// https://www.rabbitmq.com/docs/access-control#authorisation
describe('a passive declare of a queue', () => {
  const given = consumingFixture({ private: true });
  const { broker } = given;
  const user = uniqueName('reader');
  const permit = (read: string): Promise<string> => broker.ctl('set_permissions', '-p', '/', user, '^$', '^$', read);
  const url = (): string => {
    const other = new URL(broker.url);
    [other.username, other.password] = [user, 'secret'];
    return other.href;
  };
  beforeAll(async () => {
    await broker.ctl('add_user', user, 'secret');
  });
  afterAll(async () => {
    await broker.ctl('delete_user', user);
  });

  it('needs a permission on RabbitMQ 4.3, and none on 4.0 and before', async () => {
    const { queue } = given;
    await permit('^$');
    const asking = closing(await Bystander.at(url()));
    const asked = asking.onChannel((channel) => channel.checkQueue(queue));
    if (isAtLeast(broker, '4.3')) expect(await rejection(asked)).toMatchObject({ code: 403 });
    else expect(await asked).toMatchObject({ queue });
    // In any case consuming needs the read permission.
    const error = await rejection(lastValueFrom(consume(closing(new Connection(url())), { queue })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ replyCode: 403 });
  });

  it('does not keep a consumer with the read permission alone from attaching by name', async () => {
    const { bystander, queue } = given;
    await permit('.*');
    const consumer = closing(new Consumer(closing(new Connection(url())), { queue }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(queue, 'readable');
    (await eventually(() => values[0])).ack();
  });
});
