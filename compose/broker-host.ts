/** What differs between a node on this machine, a container, and a broker we were only given the url of. */
export interface BrokerHost {
  ctl(args: readonly string[]): Promise<string>;
  kill(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** A broker just started, with the host as its owner sees it: removing that also ends the warden. */
export interface StartedHost<Handle> {
  readonly handle: Handle;
  readonly host: BrokerHost;
}
