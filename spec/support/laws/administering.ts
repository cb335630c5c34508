import { ChannelError, OptionsError, handle, type InstanceQueue } from 'instance-queue';
import { firstValueFrom, of, toArray } from 'rxjs';
import { rejection } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

/** What `admin` does, on any broker. */
export function administeringLaws(given: { readonly broker: BrokerUnderTest }): void {
  const opened = async (): Promise<{ queue: InstanceQueue; name: string }> => ({
    queue: given.broker.newClient(),
    name: await given.broker.declareQueue(),
  });

  it('a declared queue is there, empty and unused', async () => {
    const queue = given.broker.newClient();
    const name = given.broker.freeQueueName();
    expect(await queue.admin.inspect(name)).toBeUndefined();
    await queue.admin.declare({ queues: [{ name }] });
    expect(await queue.admin.inspect(name)).toEqual({ messages: 0, consumers: 0 });
  });

  it('a message is taken without a consumer, once, and settled on a channel of its own', async () => {
    const { queue, name } = await opened();
    await queue.send({ queue: name, body: { id: 1 }, messageId: 'm' });
    await queue.send({ queue: name, body: { id: 2 } });
    const first = await queue.admin.get<{ id: number }>(name);
    expect(first).toMatchObject({ body: { id: 1 }, queue: name, redelivered: false, properties: { messageId: 'm' } });
    const second = await queue.admin.get<{ id: number }>(name);
    expect([second?.body.id, await queue.admin.get(name)]).toEqual([2, undefined]);
    expect(first?.requeue()).toBe(true);
    expect(first?.ack()).toBe(false);
    expect(second?.ack()).toBe(true);
    expect(await firstOf(queue, name)).toMatchObject({ body: { id: 1 }, redelivered: true });
  });

  it('a message that was taken is one for `handle`, too', async () => {
    const { queue, name } = await opened();
    await queue.send({ queue: name, body: 'x' });
    const delivery = (await queue.admin.get(name))!;
    expect(
      await firstValueFrom(
        of(delivery).pipe(
          handle(() => 1),
          toArray(),
        ),
      ),
    ).toMatchObject([{ value: 1 }]);
    expect(delivery.settled).toBe('ack');
  });

  it('a queue that is purged holds nothing, and says how much it held', async () => {
    const { queue, name } = await opened();
    for (const body of [1, 2, 3]) await queue.send({ queue: name, body });
    expect(await queue.admin.purge(name)).toBe(3);
    expect(await queue.admin.inspect(name)).toEqual({ messages: 0, consumers: 0 });
  });

  it('a queue is deleted on its conditions, with its messages', async () => {
    const { queue, name } = await opened();
    await queue.send({ queue: name, body: 1 });
    const refused = await rejection(queue.admin.delete({ queue: name, ifEmpty: true }));
    expect(refused).toBeInstanceOf(ChannelError);
    expect(refused).toMatchObject({ replyCode: 406 });
    expect(await queue.admin.delete({ queue: name })).toBe(1);
    expect(await queue.admin.inspect(name)).toBeUndefined();
    expect(await queue.admin.delete({ queue: name })).toBe(0);
  });

  it('a refusal has the code of the broker, and costs nothing else', async () => {
    const { queue, name } = await opened();
    const missing = given.broker.freeQueueName();
    for (const asked of [queue.admin.purge(missing), queue.admin.get(missing)]) {
      expect(await rejection(asked)).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    }
    expect(queue.state.consumer).toMatchObject({ status: 'connected', epoch: 1 });
    expect(await queue.admin.inspect(name)).toBeDefined();
  });

  it('a stream is neither read nor purged without a consumer, over which the broker closes the connection', async () => {
    const name = given.broker.freeQueueName();
    const spec = { name, type: 'stream' } as const;
    const queue = given.broker.newClient({ topology: { queues: [spec] } });
    await queue.admin.declare({ queues: [spec] });
    const { admin } = queue;
    for (const call of [
      () => admin.get(name),
      () => admin.get(spec),
      () => admin.purge(name),
      () => admin.purge(spec),
    ]) {
      const refused = await rejection(call());
      expect(refused).toBeInstanceOf(OptionsError);
      expect(String(refused)).toMatch(/is a stream: .* Consume it with an `offset`/);
    }
    const unknowing = given.broker.newClient();
    expect(await rejection(unknowing.admin.get(name))).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 540 });
    expect(queue.state.consumer).toMatchObject({ status: 'connected', epoch: 1 });
    expect(await admin.delete({ queue: name })).toBeDefined();
  });

  it('what cannot be right is refused before the broker is asked', async () => {
    const queue = given.broker.newClient();
    const { admin } = queue;
    const wrong: (() => Promise<unknown>)[] = [
      () => admin.inspect(''),
      () => admin.purge(undefined as unknown as string),
      () => admin.delete({} as never),
      () => admin.delete({ queue: 'q', exchange: 'e' }),
      () => admin.delete({ queue: 'q', isEmpty: true } as never),
      () => admin.declare({ queue: [] } as never),
      () => admin.get('q', { coder: 1 } as never),
    ];
    for (const call of wrong) expect(await rejection(call())).toBeInstanceOf(OptionsError);
    expect(queue.state.consumer.status).toBe('disconnected');
  });

  it('a binding is removed', async () => {
    const { queue, name } = await opened();
    const binding = { exchange: 'amq.fanout', queue: name };
    await queue.admin.declare({ bindings: [binding] });
    await queue.send({ exchange: 'amq.fanout', body: 1 });
    await queue.admin.unbind(binding);
    await queue.send({ exchange: 'amq.fanout', body: 2, mandatory: false });
    expect((await queue.admin.inspect(name))?.messages).toBe(1);
  });

  it('closing waits for a message that was taken, and says if it is not settled in time', async () => {
    const { queue, name } = await opened();
    await queue.send({ queue: name, body: 1 });
    const delivery = await queue.admin.get(name);
    expect(await queue.close({ drainTimeout: 50 })).toMatchObject({ unsettled: 1 });
    expect(delivery?.settled).toBe('lost');
  });
}

const firstOf = (queue: InstanceQueue, name: string): Promise<unknown> =>
  firstValueFrom(queue.consume({ queue: name }));
