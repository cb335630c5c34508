import { setTimeout as pause } from 'node:timers/promises';
import { monotonic } from '../clock';
import type { Fault } from '../fault';

/** ms after which all buffers on the way are full, and the application waits. */
const FULL_AFTER = 4000;
const LATER = 5000;
/** Bytes by which memory may vary while no message moves. */
const FLAT = 4 * 1024 * 1024;

export const BACK_PRESSURE = {
  unread: {
    title: 'nothing read from the client for 9 s',
    padding: 16 * 1024,
    window: 1000,
    limit: 1500,
    async act({ proxy, client, note, complain }) {
      const idle = await client.ask({ do: 'weigh' });
      proxy.stopReading('client');
      const began = monotonic();
      await pause(FULL_AFTER);
      const full = await client.ask({ do: 'weigh' });
      await pause(LATER);
      const later = await client.ask({ do: 'weigh' });
      await proxy.restore();
      note(`memory +${mebibytes(full - idle)}, then ${later >= full ? '+' : ''}${mebibytes(later - full)} in 5 s`);
      if (later - full > FLAT) complain('memory not flat');
      return { began, over: monotonic() };
    },
  },
} as const satisfies Record<string, Fault>;

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
