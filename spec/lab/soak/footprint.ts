import type { Broker } from '../../../compose/broker';
import { heldMemory } from '../../support/memory';

/** What a process and its connections take up. */
export interface Footprint {
  /** Bytes on the heap and in Buffers, after a collection of garbage. */
  readonly heap: number;
  /** Sockets, timers and the like: how many of each kind. */
  readonly handles: Readonly<Record<string, number>>;
  /** Connections at the broker, with the number of their channels. */
  readonly connections: readonly string[];
}

/** Of the connections whose name begins so. */
export async function footprint(broker: Broker, prefix: string): Promise<Footprint> {
  // First: asking the broker takes a process and its pipes.
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

/** Has more come of anything than there was? Says of what; memory is judged apart. */
export function grown(before: Footprint, after: Footprint): string[] {
  const more = Object.entries(after.handles).filter(([kind, count]) => count > (before.handles[kind] ?? 0));
  const [was, is] = [before.connections.join(', '), after.connections.join(', ')];
  return [
    ...more.map(([kind, count]) => `${kind}: ${before.handles[kind] ?? 0} before, ${count} after`),
    ...(was === is ? [] : [`connections and channels: ${was || 'none'} before, ${is || 'none'} after`]),
  ];
}
