import { ChannelError, Connection, Consumer, consume } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/fake-broker/frames';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { gather } from '../../support/gather';
import { eventually, rejection, until } from '../../support/waiting';

describe('the first attach', () => {
  const { url } = sharedBroker();
  let side: Bystander;
  beforeEach(async () => {
    side = await Bystander.at(url);
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  it('fails with 406 when the queue exists with other properties, and harms nobody else', async () => {
    const queue = await side.queue({ arguments: { 'x-max-length': 5 } });
    const other = await side.queue();
    const connection = closing(new Connection(url));
    const neighbour = closing(new Consumer(connection, { queue: other }));
    const { values } = gather(neighbour.deliveries$);
    await until(neighbour.state$, ({ status }) => status === 'attached');

    const error = await rejection(lastValueFrom(consume(connection, { queue: { name: queue, maxLength: 6 } })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406, retryable: false });
    expect(String(error)).toContain(`Cannot declare queue \`${queue}\`: 406 PRECONDITION_FAILED`);

    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect(neighbour.state.status).toBe('attached');
    await side.put(other, 'still here');
    await eventually(() => values.length === 1);
  });

  it('stops a Consumer for good when it is refused, and says why to whoever comes later', async () => {
    const queue = await side.queue({ arguments: { 'x-max-length': 5 } });
    const consumer = new Consumer(closing(new Connection(url)), { queue: { name: queue } });
    const error = await rejection(lastValueFrom(consumer.deliveries$));
    expect(error).toMatchObject({ replyCode: 406 });
    expect(consumer.state).toEqual({ status: 'stopped', cause: error });
    expect(await rejection(lastValueFrom(consumer.deliveries$))).toBe(error);
    expect(await consumer.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  });

  it('fails with 404 when a passive queue is missing, and does not make it', async () => {
    const queue = side.tidies();
    const connection = closing(new Connection(url));
    const error = await rejection(lastValueFrom(consume(connection, { queue: { name: queue, passive: true } })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ replyCode: 404 });
    expect(await side.has(queue)).toBe(false);
  });

  it('fails with 403 when somebody else consumes exclusively', async () => {
    const queue = await side.queue();
    const connection = closing(new Connection(url));
    const first = closing(new Consumer(connection, { queue, exclusive: true }));
    gather(first.deliveries$);
    await until(first.state$, ({ status }) => status === 'attached');
    const error = await rejection(lastValueFrom(consume(connection, { queue })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({ replyCode: 403 });
    expect(first.state.status).toBe('attached');
  });

  it('fails with 406 on an exchange of another type in the topology', async () => {
    const name = side.tidiesExchange();
    await side.ask((channel) => channel.assertExchange(name, 'fanout'));
    const queue = side.tidies();
    const topology = { exchanges: [{ name, type: 'topic' }], bindings: [{ exchange: name, queue }] };
    const error = await rejection(
      lastValueFrom(consume(closing(new Connection(url)), { queue: { name: queue }, topology })),
    );
    expect(error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  });

  it('waits for a queue that is trusted to be there and is not yet', async () => {
    const queue = side.tidies();
    const connection = closing(new Connection({ url, reopen: { min: 10, max: 50 } }));
    const consumer = closing(new Consumer(connection, { queue, declare: false }));
    const { values } = gather(consumer.deliveries$);
    const refused = await until(consumer.state$, (state) => state.status === 'detached' && state.cause !== undefined);
    expect(refused).toMatchObject({ cause: { code: 'CHANNEL_CLOSED', replyCode: 404 } });
    await side.queue({}, queue);
    await until(consumer.state$, ({ status }) => status === 'attached');
    await side.put(queue, 1);
    await eventually(() => values.length === 1);
  });

  it('gives up after `reopen.initialAttempts`, leaving no channel behind', async () => {
    const proxy = closing(await FaultProxy.before(url));
    const log = new FrameLog(proxy);
    const reopen = { min: 1, max: 1, initialAttempts: 3 };
    const connection = closing(new Connection({ url: proxy.url(url), reopen }));
    const error = await rejection(lastValueFrom(consume(connection, { queue: side.tidies(), declare: false })));
    expect(error).toBeInstanceOf(ChannelError);
    expect(error).toMatchObject({
      replyCode: 404,
      message: expect.stringContaining('after 3 failed attempts') as string,
    });
    expect(log.of('basic.consume')).toHaveLength(3);
    await eventually(() => log.of('channel.open').length === log.of('channel.close-ok').length);
    expect(connection.state.status).toBe('connected');
  });
});
