import { PerformanceObserver, constants } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pause } from './job';

const KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'scavenge',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'mark-compact',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental marking',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak callbacks',
};

function kindOf(entry: object): string {
  const detail: unknown = Reflect.get(entry, 'detail');
  const kind: unknown = typeof detail === 'object' && detail !== null ? Reflect.get(detail, 'kind') : undefined;
  return (typeof kind === 'number' ? KINDS[kind] : undefined) ?? `kind ${String(kind)}`;
}

/**
 * Observes the garbage collections of this process. The returned function ends that, and resolves with those that began between two times
 * of `performance.now()`.
 */
export function watchPauses(): (from: number, to: number) => Promise<readonly Pause[]> {
  const seen: { readonly pause: Pause; readonly at: number }[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      seen.push({ pause: { kind: kindOf(entry), ms: entry.duration }, at: entry.startTime });
  });
  observer.observe({ entryTypes: ['gc'] });
  return async (from, to) => {
    // Node.js passes them on in a later turn of the event loop.
    await delay(20);
    observer.disconnect();
    return seen.filter(({ at }) => at >= from && at <= to).map(({ pause }) => pause);
  };
}
