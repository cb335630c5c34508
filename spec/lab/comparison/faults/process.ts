import { monotonic } from '../clock';
import type { Fault } from '../fault';

/** More than two heartbeats, after which a broker gives a silent client up. */
const BLOCKED_FOR = 15_000;

/** What the application does to itself. */
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
