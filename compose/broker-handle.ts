import type { LocalNode } from './local-node';

/** A broker of somebody else's: to be used, not steered. */
export interface UrlHandle {
  readonly how: 'url';
  readonly url: string;
  readonly version: string;
}

export interface DockerHandle {
  readonly how: 'docker';
  readonly url: string;
  readonly version: string;
  readonly image: string;
  /** Its name, which is settled before it exists. */
  readonly container: string;
}

export interface LocalHandle {
  readonly how: 'local';
  readonly url: string;
  readonly version: string;
  readonly node: LocalNode;
}

/** All that another process needs to steer the same broker. Plain JSON; holds the credentials. */
export type BrokerHandle = UrlHandle | DockerHandle | LocalHandle;
