import { Connection, Consumer, InstanceQueue, OptionsError, consume, handle, type Delivery } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, until } from '../../support/waiting';

describe('the consumer tag', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  beforeEach(async () => {
    side = await Bystander.at(url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  it.each([
    ['218 characters of one byte', 'p'.repeat(218)],
    ['109 characters of two bytes', 'é'.repeat(109)],
    ['no character at all', ''],
  ])('has room for a prefix of %s', async (_, tagPrefix) => {
    const queue = await side.queue();
    const consumer = closing(new Consumer(closing(new Connection(url)), { queue, tagPrefix }));
    const { values } = gather(consumer.deliveries$.pipe(handle(({ body }) => body)));
    const state = await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(queue, 'through');
    await eventually(() => values.length === 1);
    expect(values[0]?.value).toBe('through');
    const tag = state.status === 'attached' ? state.tag : '';
    expect(tag.slice(0, -36)).toBe(`${tagPrefix}-`);
    expect(tag.slice(-36)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it.each([
    ['219 bytes', 'p'.repeat(219)],
    ['110 characters of two bytes', 'é'.repeat(110)],
  ])('has no room for a prefix of %s, and says so before anything is asked of the broker', (_, tagPrefix) => {
    const connection = closing(new Connection(url));
    const refusals = [
      () => consume(connection, { queue: 'q', tagPrefix }),
      () => new Consumer(connection, { queue: 'q', tagPrefix }),
      () => closing(new InstanceQueue(url)).consume({ queue: 'q', tagPrefix }),
      () => new InstanceQueue({ url, consumer: { tagPrefix } }),
    ];
    for (const refused of refusals) {
      expect(refused).toThrow(OptionsError);
      expect(refused).toThrow(/at most 218 bytes of UTF-8/);
    }
    expect(connection.state.status).toBe('disconnected');
  });

  it('is what the broker knows the consumer by, and new with each attach', async () => {
    const proxy = closing(await FaultProxy.before(url));
    const log = new FrameLog(proxy);
    const queue = await side.queue();
    const connection = closing(new Connection({ url: proxy.url(url), reconnect: { min: 10, max: 50 } }));
    const consumer = closing(new Consumer(connection, { queue, tagPrefix: 'mine' }));
    const tags: string[] = [];
    consumer.on('attached', ({ tag }) => tags.push(tag));
    const deliveries: Delivery<unknown>[] = [];
    consumer.deliveries$.subscribe((delivery) => deliveries.push(delivery));
    for (let times = 1; times <= 3; times++) {
      await eventually(() => tags.length === times);
      proxy.cut();
    }
    await eventually(() => tags.length === 4);
    expect(new Set(tags).size).toBe(4);
    expect(log.of('basic.consume').map(({ fields }) => fields['consumerTag'])).toEqual(tags);
    expect(log.of('basic.consume-ok').map(({ fields }) => fields['consumerTag'])).toEqual(tags);
  });
});
