import { connect } from 'amqplib';
import { monotonic } from '../clock';
import type { Fault } from '../fault';

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
  'missing-exchange': {
    title: 'publish to a missing exchange (of the others)',
    limit: 20,
    async act({ client }) {
      const at = await client.ask({ do: 'poison', exchange: 'there-is-no-such-exchange' });
      return { began: at, over: at };
    },
  },
} as const satisfies Record<string, Fault>;
