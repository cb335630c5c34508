import { Consumer, type ConsumerState } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { until } from '../../support/waiting';

const attached = ({ status }: ConsumerState): boolean => status === 'attached';

describe('an exclusive consumer of a queue in use', () => {
  const given = rabbitmqFixture();

  it('waits at its first attach, with the cause in its state, and takes over', async () => {
    const queue = { name: uniqueName('standby'), expires: 60_000 };
    const reopen = { min: 10, max: 100 };
    const [first, second] = [given.newConnection({ reopen }), given.newConnection({ reopen })];
    const active = closing(new Consumer(first, { queue, exclusive: true }));
    collect(active.deliveries$);
    await until(active.state$, attached);
    const standby = closing(new Consumer(second, { queue, exclusive: true }));
    const { error } = collect(standby.deliveries$);
    const state = await until(standby.state$, ({ status, ...rest }) => status === 'detached' && 'cause' in rest);
    expect(state).toMatchObject({ status: 'detached', cause: { replyCode: 403, retryable: true } });
    await active.close();
    await until(standby.state$, attached);
    expect(error).toBeUndefined();
  });

  it('waits for a consumer that is not exclusive, too', async () => {
    const queue = { name: uniqueName('standby'), expires: 60_000 };
    const reopen = { min: 10, max: 100 };
    const connection = given.newConnection({ reopen });
    const plain = closing(new Consumer(connection, { queue }));
    collect(plain.deliveries$);
    await until(plain.state$, attached);
    const exclusive = closing(new Consumer(connection, { queue, exclusive: true }));
    collect(exclusive.deliveries$);
    await until(exclusive.state$, (state) => state.status === 'detached' && state.cause?.replyCode === 403);
    await plain.close();
    await until(exclusive.state$, attached);
  });
});
