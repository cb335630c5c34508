import { timer } from 'rxjs';

/** Options of `close`. */
export interface CloseOptions {
  /** ms to wait for handlers and confirms; 0 does not wait. @default the connection's `drainTimeout` */
  readonly drainTimeout?: number;
}

/** What was unfinished when the deadline of a `close` passed. */
export interface CloseReport {
  /** Deliveries that were not settled in time. The broker delivers them again. */
  readonly unsettled: number;
  /** Messages that were not confirmed in time. Their `send` has rejected. */
  readonly unconfirmed: number;
}

/** A consumer or producer on a connection. The connection closes its members before it closes the link. */
export interface Member {
  /** `inbound` members close first: their running work may still send. */
  readonly direction: 'inbound' | 'outbound';
  /** Settles within `within` ms. */
  close(within: number): Promise<CloseReport>;
}

/** How a member closes: once, in the shortest time that a call allows. */
export class Closing {
  readonly #end: (within: number) => Promise<CloseReport>;
  readonly #force: () => void;
  #report: Promise<CloseReport> | undefined;
  /** A field: it is read for each message. */
  begun = false;

  /** `end` is called once; `force`, when the time of a call is up, ends it at once. */
  constructor(end: (within: number) => Promise<CloseReport>, force: () => void) {
    this.#end = end;
    this.#force = force;
  }

  /** Begins the end, or shortens the time that is left to it, ms. Settles as the end does. */
  within(ms: number): Promise<CloseReport> {
    const deadline = timer(ms).subscribe(() => {
      this.#force();
    });
    const report = (this.#report ??= this.#begin(ms));
    void report.then(() => {
      deadline.unsubscribe();
    });
    return report;
  }

  /** The member has ended without a call. */
  ended(report: CloseReport): void {
    this.begun = true;
    this.#report = Promise.resolve(report);
  }

  /** Assigns the promise before it calls `#end`: a listener may call `close` again synchronously. */
  #begin(ms: number): Promise<CloseReport> {
    let settle: (report: Promise<CloseReport>) => void = () => undefined;
    this.begun = true;
    this.#report = new Promise((resolve) => {
      settle = resolve;
    });
    settle(this.#end(ms));
    return this.#report;
  }
}
