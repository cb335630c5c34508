/** A producer's channel on a link that answers as a test says. */
import { json, type QueueSpec, type Topology } from 'instance-queue';
import type { ConnectionCore } from '../../lib/connection/connection-core';
import type { ConnectionError } from '../../lib/errors';
import { encode } from '../../lib/producer/encoded-message';
import { PendingSend } from '../../lib/producer/pending-send';
import { PublishingChannel } from '../../lib/producer/publishing-channel';
import { channelRefused, connectionLost } from '../../lib/transport/link-errors';
import type { OutboundChannel } from '../../lib/transport/transport';

export const refused = (replyCode: number, text = 'NO') =>
  channelRefused('The broker closed the channel', new Error('refused'), { replyCode, text });
export const lost = (replyCode?: number) =>
  replyCode === undefined
    ? connectionLost('host', new Error('gone'))
    : connectionLost('host', new Error('refused'), { replyCode, text: 'NO' });
export const MISSING = refused(404, "NOT_FOUND - no exchange 'events' in vhost '/'");

type Given = Parameters<typeof encode>[0];
let order = 0;
export const sendOf = (message: object, headers?: object) => {
  const settled: unknown[] = [];
  const encoded = encode({ body: 1, ...message, ...headers } as Given, json(), { persistent: true, mandatory: true });
  const settle = (outcome: unknown): void => void settled.push(outcome);
  return { entry: new PendingSend(order++, encoded, settle, settle), settled };
};
export const entryTo = (message: object): PendingSend => sendOf(message).entry;

/** What the link does when it is asked. */
export interface Answers {
  check?: (queue: string) => unknown;
  declare?: (topology: Topology, own?: QueueSpec) => unknown;
}

/** A channel on a link that accepts everything, unless a test says otherwise, and notes what is asked of it. */
export function onLink({ check, declare }: Answers = {}) {
  const asked: unknown[] = [];
  const link = {
    lost: undefined as ConnectionError | undefined,
    check: async (queue: string) => {
      asked.push(`check ${queue}`);
      return Promise.resolve(check?.(queue) ?? 'missing');
    },
    declare: async (topology: Topology, own?: QueueSpec) => {
      asked.push(own ?? topology);
      await Promise.resolve(declare?.(topology, own));
    },
  };
  const publishing = new PublishingChannel(link as never, {} as OutboundChannel, 1);
  return { asked, link, publishing };
}

export function core({ channelsLimited = false } = {}) {
  const log = { warn: jest.fn(), error: jest.fn() };
  const warnOnce = jest.fn();
  return { log, warnOnce, core: { channelsLimited, log, warnOnce } as unknown as ConnectionCore };
}

export const throwing = (error: unknown) => (): never => {
  throw error as Error;
};
