import { Consumer, InstanceQueue, OptionsError, consume, handle, type Delivery } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually, until } from '../../support/waiting';

describe('the consumer tag', () => {
  const given = consumingFixture();

  it.each([
    ['218 characters of one byte', 'p'.repeat(218)],
    ['109 characters of two bytes', 'é'.repeat(109)],
    ['no character at all', ''],
  ])('has room for a prefix of %s', async (_, tagPrefix) => {
    const { bystander, newConnection, queue } = given;
    const consumer = closing(new Consumer(newConnection(), { queue, tagPrefix }));
    const { values } = collect(consumer.deliveries$.pipe(handle(({ body }) => body)));
    const state = await until(consumer.state$, ({ status }) => status === 'attached');
    await bystander.put(queue, 'through');
    await eventually(() => values.length === 1);
    expect(values[0]?.value).toBe('through');
    const tag = state.status === 'attached' ? state.tag : '';
    expect(tag.slice(0, -36)).toBe(`${tagPrefix}-`);
    expect(tag.slice(-36)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it.each([
    ['219 bytes', 'p'.repeat(219)],
    ['110 characters of two bytes', 'é'.repeat(110)],
  ])('has no room for a prefix of %s, which is refused before the broker is involved', (_, tagPrefix) => {
    const { url, newClient, connection } = given;
    const refusals = [
      () => consume(connection, { queue: 'q', tagPrefix }),
      () => new Consumer(connection, { queue: 'q', tagPrefix }),
      () => newClient().consume({ queue: 'q', tagPrefix }),
      () => new InstanceQueue({ url, consumer: { tagPrefix } }),
    ];
    for (const refused of refusals) {
      expect(refused).toThrow(OptionsError);
      expect(refused).toThrow(/at most 218 bytes of UTF-8/);
    }
    expect(connection.state.status).toBe('disconnected');
  });

  it('is the one the broker has, and a new one with each attach', async () => {
    const { newConnection, proxy, queue, log } = given;
    const connection = newConnection({ reconnect: { min: 10, max: 50 } });
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
