/** How long closing may take. */
export interface CloseOptions {
  /** ms to wait for handlers and confirms; 0 does not wait. @default the connection's `drainTimeout` */
  readonly drainTimeout?: number;
}

/** What was unfinished when the deadline of a `close` passed. */
export interface CloseReport {
  /** Deliveries handed out and not settled in time; the broker delivers them again. */
  readonly unsettled: number;
  /** Messages not confirmed in time; their `send` rejected. */
  readonly unconfirmed: number;
}

/** A consumer or producer on a connection. The connection closes its members before it closes the link. */
export interface Member {
  /** `inbound` closes first: what it still handles may want to send. */
  readonly direction: 'inbound' | 'outbound';
  /** Settles within `within` ms. */
  close(within: number): Promise<CloseReport>;
}
