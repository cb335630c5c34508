import { setTimeout as pause } from 'node:timers/promises';
import { monotonic } from '../clock';
import type { Fault, Moment } from '../fault';

const REFUSED_FOR = 3000;
const BLACK_FOR = 20_000;
const SLOW_FOR = 10_000;

/** A fault without duration. */
export function atOnce(): Moment {
  const now = monotonic();
  return { began: now, over: now };
}

/** Faults of the links between client and broker. */
export const LINK_FAULTS = {
  cut: {
    title: 'links cut, ×5',
    times: 5,
    limit: 100,
    act({ proxy }) {
      proxy.cut();
      return Promise.resolve(atOnce());
    },
  },
  refused: {
    title: `refused for ${REFUSED_FOR / 1000} s, ×3`,
    times: 3,
    limit: 400,
    async act({ proxy }) {
      proxy.refuse();
      proxy.cut();
      const began = monotonic();
      await pause(REFUSED_FOR);
      await proxy.restore();
      return { began, over: monotonic() };
    },
  },
  'black-hole': {
    title: `black hole for ${BLACK_FOR / 1000} s (heartbeat 5)`,
    limit: 1500,
    async act({ proxy }) {
      proxy.blackHole();
      const began = monotonic();
      await pause(BLACK_FOR);
      // Packets sent meanwhile stay unanswered: a network that recovers does not report its losses.
      await proxy.restore({ reset: false });
      return { began, over: monotonic() };
    },
  },
  finish: {
    title: 'links half-closed (FIN)',
    limit: 200,
    act({ proxy }) {
      proxy.finish();
      return Promise.resolve(atOnce());
    },
  },
  delay: {
    title: '50 % of bytes delayed by 200 ms',
    limit: 400,
    async act({ proxy }) {
      proxy.delay(200, 0.5);
      const began = monotonic();
      await pause(SLOW_FOR);
      await proxy.restore();
      return { began, over: monotonic() };
    },
  },
} as const satisfies Record<string, Fault>;
