import { Connection, Consumer, type ConsumerState } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { collect } from '../../support/collect';
import { until } from '../../support/waiting';

const attached = ({ status }: ConsumerState): boolean => status === 'attached';

describe('an exclusive consumer that finds its queue taken', () => {
  const broker = sharedBroker();
  afterEach(closeAll);

  it('waits on its first attach, says why, and takes over', async () => {
    const queue = { name: uniqueName('standby'), expires: 60_000 };
    const reopen = { min: 10, max: 100 };
    const [first, second] = [1, 2].map(() => closing(new Connection({ url: broker.url, reopen }))) as [
      Connection,
      Connection,
    ];
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

  it('waits also when a plain consumer holds the queue', async () => {
    const queue = { name: uniqueName('standby'), expires: 60_000 };
    const reopen = { min: 10, max: 100 };
    const connection = closing(new Connection({ url: broker.url, reopen }));
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
