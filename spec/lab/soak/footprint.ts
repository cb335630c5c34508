import type { Broker } from '../../../compose/broker';
import { heldMemory } from '../../support/memory';

/** Resources of a process and of its connections. */
export interface Footprint {
  /** Bytes on the heap and in Buffers, after a garbage collection. */
  readonly heap: number;
  /** The number of sockets, timers and other resources of each kind. */
  readonly handles: Readonly<Record<string, number>>;
  /** Connections at the broker, with the number of their channels. */
  readonly connections: readonly string[];
}

/** Measures this process, and the connections whose name has this prefix. */
export async function footprint(broker: Broker, prefix: string): Promise<Footprint> {
  // Before the broker is asked, which takes a process with pipes.
  const held = handles();
  const connections = (await broker.connections())
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name, channels }) => `${name} ${channels}`)
    .sort();
  return { heap: heldMemory(), handles: held, connections };
}

function handles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Lists the resources that have grown. Memory is checked separately. */
export function grown(before: Footprint, after: Footprint): string[] {
  const more = Object.entries(after.handles).filter(([kind, count]) => count > (before.handles[kind] ?? 0));
  const [was, is] = [before.connections.join(', '), after.connections.join(', ')];
  return [
    ...more.map(([kind, count]) => `${kind}: ${before.handles[kind] ?? 0} before, ${count} after`),
    ...(was === is ? [] : [`connections and channels: ${was || 'none'} before, ${is || 'none'} after`]),
  ];
}
