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
