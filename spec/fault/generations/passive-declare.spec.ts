import { ChannelError, Connection, Consumer, consume } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { isAtLeast } from '../../support/brokers/version';
import { eventually, rejection, until } from '../../support/waiting';

// https://www.rabbitmq.com/docs/access-control#authorisation
describe('asking whether a queue is there', () => {
  const broker = privateBroker();
  const user = uniqueName('reader');
  const permit = (read: string): Promise<string> => broker.ctl('set_permissions', '-p', '/', user, '^$', '^$', read);
  const url = (): string => {
    const other = new URL(broker.url);
    [other.username, other.password] = [user, 'secret'];
    return other.href;
  };
  let side: Bystander;
  let queue: string;
  beforeAll(async () => {
    await broker.ctl('add_user', user, 'secret');
    side = await Bystander.at(broker.url);
    queue = await side.declareQueue();
  });
  afterEach(closeAll);
  afterAll(async () => {
    await side.close();
    await broker.ctl('delete_user', user);
  });

  it('takes a permission of some kind by now (seen on 4.3), and took none on 4.0 and before', async () => {
    await permit('^$');
    const asking = closing(await Bystander.at(url()));
    const asked = asking.onChannel((channel) => channel.checkQueue(queue));
    if (isAtLeast(broker, '4.3')) expect(await rejection(asked)).toMatchObject({ code: 403 });
    else expect(await asked).toMatchObject({ queue });
    // Whatever the answer was, consuming is what takes the permission to read.
    const error = await rejection(lastValueFrom(consume(closing(new Connection(url())), { queue })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ replyCode: 403 });
  });

  it('is no obstacle for a consumer by name that may only read', async () => {
    await permit('.*');
    const consumer = closing(new Consumer(closing(new Connection(url())), { queue }));
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(queue, 'readable');
    (await eventually(() => values[0])).ack();
  });
});
