import { setTimeout as pause } from 'node:timers/promises';
import type { Broker } from '../../../../compose/broker';
import type { Fault } from '../fault';
import { atOnce } from './links';

const FLAPS = 100;
const WITHIN = 30_000;
/** ms for the broker to notice lost connections. */
const NOTICED = 20_000;

export const FLAPS_FAULT = {
  flaps: {
    title: `${FLAPS} flaps in ${WITHIN / 1000} s`,
    // This checks what is left behind. Delays grow to their maximum with each link that is
    // lost so soon.
    limit: 30_000,
    async act({ broker, proxy, client, note, complain }) {
      const base = await counted(broker);
      for (let i = 1; i < FLAPS; i++) {
        proxy.cut();
        await pause(WITHIN / FLAPS);
      }
      proxy.cut();
      return {
        ...atOnce(),
        async after() {
          const deadline = performance.now() + NOTICED;
          let left = await counted(broker);
          while (left !== base && performance.now() < deadline) left = await counted(broker);
          if (left !== base) complain(`at the broker ${left}, before ${base}`);
          else note(`again ${left}`);
          if (client.warnings.length > 0) complain(`warned: ${client.warnings[0] ?? ''}`);
        },
      };
    },
  },
} as const satisfies Record<string, Fault>;

async function counted(broker: Broker): Promise<string> {
  const rows = await broker.connections();
  return `${rows.length} connections, ${rows.reduce((sum, { channels }) => sum + channels, 0)} channels`;
}
