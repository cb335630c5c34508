import { monotonic } from '../clock';
import type { Fault } from '../fault';

/** Longer than two heartbeats, after which a broker drops a silent client. */
const BLOCKED_FOR = 15_000;

/** Faults of the application itself. */
export const PROCESS_FAULTS = {
  'event-loop': {
    title: `event loop blocked for ${BLOCKED_FOR / 1000} s (heartbeat 5)`,
    limit: 400,
    async act({ client }) {
      const began = monotonic();
      const over = await client.ask({ do: 'block', ms: BLOCKED_FOR });
      return { began, over };
    },
  },
} as const satisfies Record<string, Fault>;
