import type { Metrics } from 'instance-queue';

/** Counts the events of an instance, to compare them with its metrics. */
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

  /** The differences from the metrics of the library. */
  complaints(of: string, metrics: Metrics): string[] {
    return (Object.keys(this) as (keyof Tally & keyof Metrics)[])
      .filter((name) => this[name] !== metrics[name])
      .map((name) => `${of}: metrics.${name} is ${String(metrics[name])}, counted ${this[name]}`);
  }
}
