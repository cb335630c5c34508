import { Connection, InstanceQueue, consume, handle } from 'instance-queue';
import { tap } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually } from '../../support/waiting';

describe('the prefetch', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  let proxy: FaultProxy;
  let log: FrameLog;
  beforeEach(async () => {
    side = await Bystander.at(url);
    proxy = closing(await FaultProxy.before(url));
    log = new FrameLog(proxy);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  it('is set on every channel before it consumes, and never for the whole channel', async () => {
    const queue = await side.queue();
    const connection = closing(new Connection({ url: proxy.url(url), reconnect: { min: 10, max: 50 } }));
    gather(consume(connection, { queue, prefetch: 7 }));
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

  it('is 20 if nobody says otherwise, and what the InstanceQueue says if it does', async () => {
    const queue = await side.queue();
    gather(closing(new InstanceQueue(proxy.url(url))).consume({ queue }));
    await eventually(() => log.of('basic.qos').length === 1);
    const other = closing(new InstanceQueue({ url: proxy.url(url), consumer: { prefetch: 3 } }));
    gather(other.consume({ queue }));
    await eventually(() => log.of('basic.qos').length === 2);
    gather(other.consume({ queue, prefetch: 9 }));
    await eventually(() => log.of('basic.qos').length === 3);
    expect(log.of('basic.qos').map(({ fields }) => fields['prefetchCount'])).toEqual([20, 3, 9]);
  });

  it('bounds what is handed out and not settled', async () => {
    const queue = await side.queue();
    await side.put(queue, ...numbers(12));
    const { values } = gather(consume(closing(new Connection(url)), { queue, prefetch: 4 }));
    await eventually(() => values.length === 4);
    expect((await side.count(queue)).ready).toBe(8);
    values[1]?.ack();
    await eventually(() => values.length === 5);
    expect((await side.count(queue)).ready).toBe(7);
    values[0]?.ack();
    values[2]?.reject();
    await eventually(() => values.length === 7);
    expect((await side.count(queue)).ready).toBe(5);
  });

  it('bounds what waits in handle(), however many messages there are', async () => {
    const [queue, count] = [await side.queue(), 3000];
    await side.put(queue, ...numbers(count));
    let [handedOut, done, most] = [0, 0, 0];
    const deliveries$ = consume<number>(closing(new Connection(url)), { queue, prefetch: 10 }).pipe(
      tap(() => {
        most = Math.max(most, ++handedOut - done);
      }),
      handle(({ body }) => Promise.resolve(body), { concurrency: 2 }),
      tap(() => {
        done++;
      }),
    );
    const { values } = gather(deliveries$);
    await eventually(() => values.length === count);
    expect(values.map(({ value }) => value)).toEqual(numbers(count));
    expect(most).toBeGreaterThan(2);
    expect(most).toBeLessThanOrEqual(10);
  });
});
