import { consume } from 'instance-queue';
import { collect } from '../../support/collect';
import { consumingFixture } from '../../support/fixtures/consuming';
import { eventually } from '../../support/waiting';

describe('the queue of a consumer', () => {
  const given = consumingFixture();

  const attached = (): Promise<boolean> => eventually(() => given.log.of('basic.consume-ok').length > 0);
  const declared = (): { passive: unknown; name: unknown }[] =>
    given.log.of('queue.declare').map(({ fields }) => ({ passive: fields['passive'], name: fields['queue'] }));

  it('is used as it is if only a name is given and it exists, whatever its properties', async () => {
    const { bystander, newConnection } = given;
    const name = await bystander.declareQueue({
      durable: false,
      exclusive: false,
      autoDelete: true,
      arguments: { 'x-max-length': 3 },
    });
    collect(consume(newConnection(), { queue: name }));
    await attached();
    expect(declared()).toEqual([{ passive: true, name }]);
  });

  it('is declared durable if only a name is given and it is missing', async () => {
    const { bystander, newConnection, log } = given;
    const name = bystander.freeQueueName();
    collect(consume(newConnection(), { queue: name }));
    await attached();
    expect(declared()).toEqual([
      { passive: true, name },
      { passive: false, name },
    ]);
    expect(log.of('queue.declare')[1]?.fields).toMatchObject({ durable: true, exclusive: false, autoDelete: false });
  });

  it('is declared if a spec is given', async () => {
    const { bystander, newConnection, log } = given;
    const name = bystander.freeQueueName();
    collect(consume(newConnection(), { queue: { name, maxLength: 7, messageTtl: 60_000 } }));
    await attached();
    expect(declared()).toEqual([{ passive: false, name }]);
    expect(log.of('queue.declare')[0]?.fields).toMatchObject({
      durable: true,
      arguments: { 'x-max-length': 7, 'x-message-ttl': 60_000 },
    });
  });

  it('is only checked if the spec is passive', async () => {
    const { bystander, newConnection } = given;
    const name = await bystander.declareQueue();
    collect(consume(newConnection(), { queue: { name, passive: true } }));
    await attached();
    expect(declared()).toEqual([{ passive: true, name }]);
  });

  it('is neither declared nor checked with `declare: false`, even with a spec and a topology', async () => {
    const { bystander, newConnection, log } = given;
    const name = await bystander.declareQueue();
    const topology = { exchanges: [{ name: bystander.freeExchangeName(), type: 'fanout' }] };
    collect(consume(newConnection(), { queue: { name, maxLength: 9 }, topology, declare: false }));
    await attached();
    expect(log.methods('toBroker').filter((method) => /^(queue|exchange)\./.test(method))).toEqual([]);
  });

  it('is declared by its entry in the topology of the consumer', async () => {
    const { bystander, newConnection, log } = given;
    const name = bystander.freeQueueName();
    const topology = { queues: [{ name, maxLength: 4 }] };
    collect(consume(newConnection(), { queue: name, topology }));
    await attached();
    expect(declared()).toEqual([{ passive: false, name }]);
    expect(log.of('queue.declare')[0]?.fields).toMatchObject({ arguments: { 'x-max-length': 4 } });
  });

  it('is declared by its entry in the topology of the InstanceQueue', async () => {
    const { bystander, newClient } = given;
    const name = bystander.freeQueueName();
    const client = newClient({ topology: { queues: [{ name, maxLength: 4 }] } });
    collect(client.consume({ queue: name }));
    await attached();
    expect(declared()).toEqual([{ passive: false, name }]);
  });

  it('cannot be declared twice with different properties: a spec that contradicts the topology is refused with 406', async () => {
    const { bystander, newConnection } = given;
    const name = bystander.freeQueueName();
    const topology = { queues: [{ name, maxLength: 4 }] };
    const collected = collect(consume(newConnection(), { queue: { name, maxLength: 5 }, topology }));
    await eventually(() => collected.error);
    expect(collected.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 406 });
  });

  it('is named by the broker if its name is empty, and each delivery carries that name', async () => {
    const { bystander, newConnection, log } = given;
    const { values } = collect(consume(newConnection(), { queue: '' }));
    await attached();
    const name = String(log.of('queue.declare-ok')[0]?.fields['queue']);
    expect(name).toMatch(/^amq\.gen-/);
    await bystander.put(name, 'hello');
    await eventually(() => values.length === 1);
    expect(values[0]).toMatchObject({ queue: name, body: 'hello', exchange: '', routingKey: name });
  });
});
