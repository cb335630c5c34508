import type { Metrics } from 'instance-queue';

/** The counters of an instance, counted from outside. */
export class Tally {
  sent = 0;
  confirmed = 0;
  resent = 0;
  returned = 0;
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
  inFlight = 0;

  /** Where the library counted otherwise. */
  complaints(of: string, metrics: Metrics): string[] {
    return (Object.keys(this) as (keyof Tally & keyof Metrics)[])
      .filter((name) => this[name] !== metrics[name])
      .map((name) => `${of}: metrics.${name} is ${String(metrics[name])}, counted ${this[name]}`);
  }
}
