import { connect } from 'amqplib';
import type { Broker } from '../../../../compose/broker';
import { monotonic } from '../clock';
import type { Fault } from '../fault';

/** Stops the broker's processes of all channels that consume. Resolves with what lets them go on. */
async function suspendConsumers(broker: Broker): Promise<() => Promise<void>> {
  const consuming = (await broker.channels()).filter(({ consumers }) => consumers > 0);
  const pids = consuming.map(({ pid }) => `rabbit_misc:string_to_pid("${pid}")`).join(', ');
  const each = async (verb: 'suspend' | 'resume'): Promise<void> => {
    await broker.ctl('eval', `[sys:${verb}(Pid) || Pid <- [${pids}]].`);
  };
  await each('suspend');
  return () => each('resume');
}

/** Faults of missing and deleted entities. */
export const ENTITY_FAULTS = {
  deleted: {
    title: 'queue deleted under both',
    limit: 50,
    async act({ broker, queue }) {
      const connection = await connect(broker.url);
      const channel = await connection.createChannel();
      await channel.deleteQueue(queue);
      const at = monotonic();
      await connection.close();
      return { began: at, over: at, deletedAt: at };
    },
  },
  'declared-again': {
    title: 'queue deleted, declared again by another',
    limit: 50,
    async act({ broker, queue }) {
      // Until then the broker's process of the consumer's channel knows nothing of it, as when it has much to do.
      const resume = await suspendConsumers(broker);
      const connection = await connect(broker.url);
      const channel = await connection.createChannel();
      await channel.deleteQueue(queue);
      const deletedAt = monotonic();
      await channel.assertQueue(queue, { durable: true });
      await resume();
      const at = monotonic();
      await connection.close();
      return { began: at, over: at, deletedAt };
    },
  },
  'missing-exchange': {
    title: 'publish to a missing exchange (of the others)',
    limit: 20,
    async act({ client }) {
      const at = await client.ask({ do: 'poison', exchange: 'there-is-no-such-exchange' });
      return { began: at, over: at };
    },
  },
} as const satisfies Record<string, Fault>;
