import { consume, handle } from 'instance-queue';
import { tap } from 'rxjs';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

describe('the prefetch', () => {
  const given = consumingFixture();

  it('is set on every channel before the consumer attaches, for the consumer and not for the channel', async () => {
    const { newConnection, proxy, queue, log } = given;
    const connection = newConnection({ reconnect: { min: 10, max: 50 } });
    collect(consume(connection, { queue, prefetch: 7 }));
    for (let attached = 1; attached <= 3; attached++) {
      await eventually(() => log.of('basic.consume-ok').length === attached);
      if (attached < 3) proxy.cut();
    }
    const steps = log.frames.filter(({ name }) => name === 'basic.qos' || name === 'basic.consume');
    expect(steps.map(({ name }) => name)).toEqual(
      Array.from({ length: 3 }, () => ['basic.qos', 'basic.consume']).flat(),
    );
    for (let i = 0; i < steps.length; i += 2) {
      expect(steps[i]).toMatchObject({ channel: steps[i + 1]?.channel, link: steps[i + 1]?.link });
    }
    for (const { fields } of log.of('basic.qos')) expect(fields).toMatchObject({ prefetchCount: 7, global: false });
  });

  it('is 20 by default, else the option of the InstanceQueue, else that of the consumer', async () => {
    const { newClient, queue, log } = given;
    collect(newClient().consume({ queue }));
    await eventually(() => log.of('basic.qos').length === 1);
    const other = newClient({ consumer: { prefetch: 3 } });
    collect(other.consume({ queue }));
    await eventually(() => log.of('basic.qos').length === 2);
    collect(other.consume({ queue, prefetch: 9 }));
    await eventually(() => log.of('basic.qos').length === 3);
    expect(log.of('basic.qos').map(({ fields }) => fields['prefetchCount'])).toEqual([20, 3, 9]);
  });

  it('bounds the unsettled deliveries', async () => {
    const { bystander, newConnection, queue } = given;
    await bystander.put(queue, ...numbers(12));
    const { values } = collect(consume(newConnection(), { queue, prefetch: 4 }));
    await eventually(() => values.length === 4);
    expect((await bystander.count(queue)).ready).toBe(8);
    values[1]?.ack();
    await eventually(() => values.length === 5);
    expect((await bystander.count(queue)).ready).toBe(7);
    values[0]?.ack();
    values[2]?.reject();
    await eventually(() => values.length === 7);
    expect((await bystander.count(queue)).ready).toBe(5);
  });

  it('bounds the deliveries that wait in handle(), however many messages there are', async () => {
    const { bystander, newConnection } = given;
    const [queue, count] = [await bystander.declareQueue(), 3000];
    await bystander.put(queue, ...numbers(count));
    let [handedOut, done, most] = [0, 0, 0];
    const deliveries$ = consume<number>(newConnection(), { queue, prefetch: 10 }).pipe(
      tap(() => {
        most = Math.max(most, ++handedOut - done);
      }),
      handle(({ body }) => Promise.resolve(body), { concurrency: 2 }),
      tap(() => {
        done++;
      }),
    );
    const { values } = collect(deliveries$);
    await eventually(() => values.length === count);
    expect(values.map(({ value }) => value)).toEqual(numbers(count));
    expect(most).toBeGreaterThan(2);
    expect(most).toBeLessThanOrEqual(10);
  });
});
