import type { Codec } from '../codec';
import { boolean, codec, type Shape } from '../options';
import { SEND, type SendOptions } from '../producer/producer-options';

/** For one request. `timeout` counts from the call to the reply; `signal` ends the waiting for it, too. */
export interface RequestOptions<Res = unknown> extends SendOptions {
  /** How the reply is read. @default auto */
  readonly codec?: Codec<Res, never>;
  /**
   * May the work be done twice? `true`: a request whose link was lost before its reply came is sent again, with the same
   * `messageId` and the time that is left; `false`: it rejects (PUBLISH_UNKNOWN). @default false
   */
  readonly idempotent?: boolean;
}

export const REQUEST: Shape<RequestOptions> = { ...SEND, codec, idempotent: boolean };
