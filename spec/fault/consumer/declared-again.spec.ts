import { Consumer, type ConsumerState, type QueueSpec } from 'instance-queue';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { eventually, until } from '../../support/waiting';

/** Stops, and lets go on, the process at the broker that is a consumer's channel. */
const atChannel = (verb: 'suspend' | 'resume', pid: string): string =>
  `sys:${verb}(rabbit_misc:string_to_pid("${pid}")).`;

/** What is declared, by the type of the queue, and how its consumer names it. */
const QUEUES: readonly [string, QueueSpec['type'], boolean][] = [
  ['a classic queue that it declares', 'classic', true],
  ['a classic queue that it knows by name', 'classic', false],
  ['a quorum queue that it declares', 'quorum', true],
  ['a quorum queue that it knows by name', 'quorum', false],
];

describe('a consumer whose queue is deleted and declared again before its channel at the broker knows', () => {
  const given = rabbitmqFixture({ private: true });

  async function attached(type: 'classic' | 'quorum', knowsSpec: boolean) {
    const { broker, bystander } = given;
    const name = await bystander.declareQueue({ arguments: { 'x-queue-type': type } });
    const connection = given.newConnection({ name, reopen: { min: 5, max: 20 } });
    const consumer = closing(new Consumer(connection, { queue: knowsSpec ? { name, type } : name }));
    const states: ConsumerState[] = [];
    const { values } = collect(consumer.deliveries$);
    await until(consumer.state$, ({ status }) => status === 'attached');
    consumer.state$.subscribe((state) => states.push(state));
    const again = async (): Promise<void> => {
      const channels = await broker.channels();
      const { pid = '' } = channels.find(({ connection: of, consumers }) => of === name && consumers === 1) ?? {};
      await broker.ctl('eval', atChannel('suspend', pid));
      await bystander.deleteQueue(name);
      await bystander.declareQueue({ arguments: { 'x-queue-type': type } }, name);
      await broker.ctl('eval', atChannel('resume', pid));
    };
    return { name, states, values, again };
  }

  it.each(QUEUES)('is cancelled, and attaches to the new queue: %s', async (_, type = 'classic', knowsSpec) => {
    const { bystander } = given;
    const { name, states, values, again } = await attached(type === 'quorum' ? type : 'classic', knowsSpec);
    for (let round = 1; round <= 2; round += 1) {
      await again();
      await eventually(() => states.length === 1 + 2 * round);
      await bystander.put(name, `in queue ${String(round)}`);
      (await eventually(() => values[round - 1])).ack();
    }
    expect(states.map(({ status }) => status)).toEqual(['attached', 'detached', 'attached', 'detached', 'attached']);
    expect(states[1]).toMatchObject({ cause: { code: 'CONSUMER_CANCELLED', queue: name } });
    expect(values.map(({ body }) => body)).toEqual(['in queue 1', 'in queue 2']);
  });

  it('leaves no channel and no consumer behind if some of many are closed while they attach', async () => {
    const { broker, bystander } = given;
    const name = await bystander.declareQueue({ arguments: { 'x-queue-type': 'quorum' } });
    const connection = given.newConnection({ name, reopen: { min: 5, max: 20 } });
    await connection.connect();
    const all = Array.from({ length: 12 }, () => new Consumer(connection, { queue: name }));
    const stayed = all.filter((_, i) => i % 2 === 0).map((consumer) => closing(consumer));
    for (const consumer of all) collect(consumer.deliveries$);
    await Promise.all(all.filter((_, i) => i % 2 === 1).map((consumer) => consumer.close()));
    await Promise.all(stayed.map((consumer) => until(consumer.state$, ({ status }) => status === 'attached')));
    await eventually(async () => {
      const channels = (await broker.channels()).filter((channel) => channel.connection === name);
      return channels.length === stayed.length && channels.every(({ consumers }) => consumers === 1);
    });
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });
});
