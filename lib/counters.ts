/** Counters of one connection since its start. Plain numbers: written on hot paths, read when asked. */
export class Counters {
  sent = 0;
  confirmed = 0;
  resent = 0;
  returned = 0;
  nacked = 0;
  timedOut = 0;
  dropped = 0;
  delivered = 0;
  redelivered = 0;
  acked = 0;
  requeued = 0;
  released = 0;
  rejected = 0;
  lost = 0;
  undecodable = 0;
  retried = 0;
  unclaimed = 0;
  reconnects = 0;
  reopens = 0;
  /** A gauge: deliveries handed out and not settled. */
  inFlight = 0;
}

/** The counters of several connections as one. */
export function sumCounters(all: readonly Counters[]): Counters {
  const sum = new Counters();
  for (const counters of all) {
    for (const name of Object.keys(sum) as (keyof Counters)[]) sum[name] += counters[name];
  }
  return sum;
}
