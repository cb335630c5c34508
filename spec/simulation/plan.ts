import type { QueueSpec } from 'instance-queue';
import type { Fault } from '../../lib/testing/simulation/faults';
import type { SocketPlan } from './socket/socket-plan';

/** Everything that happens in one simulated run. Plain data: it can be shrunk, and saved. */
export interface Plan {
  readonly seed: number;
  readonly version: string;
  readonly faults: readonly Fault[];
  readonly queues: readonly QueueSpec[];
  readonly producers: readonly ProducerPlan[];
  readonly consumers: readonly ConsumerPlan[];
  readonly requesters: readonly RequesterPlan[];
  /** A partitioned queue, beside the others. */
  readonly partitions?: PartitionsPlan;
  /** Of the queues that are streams; undefined: there is none. */
  readonly readers?: readonly ReaderPlan[];
  /** A queue that somebody else has made, and that the app does not declare. */
  readonly foreign?: { readonly queue: number; readonly by: 'declare-false' | 'passive' };
  /** Somebody looks after the dead letters. */
  readonly letters?: readonly LettersPlan[];
  /** When the app is closed, ms; undefined: when all is calm. */
  readonly closeAt?: number;
  readonly drainTimeout: number;
  /** Down to the socket; undefined: down to the transport port. */
  readonly socket?: SocketPlan;
}

/** The queue for dead letters. */
export const DEAD = 'dead';
/** The queue to which `retry` moves what has failed too often. */
export const MOVED = 'moved';

/** Does the broker take deliveries back that take too long? */
export const timesOut = ({ queues, consumers }: Plan): boolean =>
  [...queues, ...consumers].some(({ consumerTimeout }) => consumerTimeout !== undefined);

/** The priority of a message from a producer; undefined: it has none. */
export const priorityOf = (plan: ProducerPlan | undefined, id: number): number | undefined =>
  plan?.priorities ? id % 6 : undefined;

/** The filter value of a message from a producer; undefined: it has none. */
export const filterOf = (plan: ProducerPlan | undefined, id: number): string | undefined =>
  plan?.filters ? ['a', 'b', undefined][id % 3] : undefined;

/** ms by which a message from a producer is delayed; undefined: not at all. */
export const delayOf = (plan: ProducerPlan | undefined, id: number): number | undefined =>
  plan?.delays && (id * 7919) % (plan.delays.most + 1);

/** Does a queue take no more messages than some? */
export const isBounded = ({ maxLength, maxLengthBytes }: QueueSpec): boolean =>
  (maxLength ?? maxLengthBytes) !== undefined;

/** Does nothing go wrong? */
export const isFaultless = ({ faults, socket }: Plan): boolean => faults.length + (socket?.faults.length ?? 0) === 0;

/** How far down the simulation goes: to the transport port, or with amqplib to the socket. */
export type Mode = 'port' | 'socket';

/** Sends messages, one after the other or several at once. */
export interface ProducerPlan {
  readonly at: number;
  /** ms between two sends. */
  readonly every: number;
  readonly messages: number;
  /** How many it sends at once; one where it is not given. */
  readonly burst?: number;
  /** An index into the queues. */
  readonly queue: number;
  readonly through: 'queue' | 'exchange';
  /** `send-all` and `publish-all`: several messages with one call. */
  readonly by: 'send' | 'publish' | 'send-all' | 'publish-all';
  readonly onUnknown: 'resend' | 'reject';
  readonly onNack: 'resend' | 'reject';
  readonly overflow: 'wait' | 'reject' | 'drop-oldest';
  readonly limit: number;
  /** Of the outbox. */
  readonly bytes?: number;
  readonly maxInFlight: number;
  readonly timeout: number;
  /** How many of a hundred sends are aborted while they are under way. */
  readonly aborts: number;
  readonly closeAt?: number;
  /** How many of a hundred messages no queue is bound for. Every other one of them is mandatory. */
  readonly nowhere?: number;
  /** ms after which its messages expire. */
  readonly expires?: number;
  /** Its messages have a priority. */
  readonly priorities?: true;
  /** Its messages do not survive a restart of the broker. */
  readonly transient?: true;
  /** It names its queue by a contract. */
  readonly contract?: true;
  /** Its messages have filter values. */
  readonly filters?: true;
  /** Its messages have a type, a correlation id and headers. */
  readonly carries?: true;
  /** Its messages are delayed, by so many ms at most, and say so with `delay` or `at`. */
  readonly delays?: { readonly most: number; readonly in: 'quorum' | 'classic'; readonly by: 'delay' | 'at' };
}

export interface ConsumerPlan {
  readonly at: number;
  readonly queue: number;
  readonly prefetch: number;
  /** Among the consumers of its queue. */
  readonly priority?: number;
  readonly works: 'handle' | 'batch' | 'by-hand';
  /** It gets messages without settling them. */
  readonly noAck?: true;
  /** The broker serves no other consumer of its queue. */
  readonly exclusive?: true;
  readonly tagPrefix?: string;
  /** It names its queue by a contract. */
  readonly contract?: true;
  /** It declares a queue of its own beside. */
  readonly topology?: true;
  /** Its codec cannot read one in so many messages: for good, or, where they are put back, twice. */
  readonly unreadable?: { readonly oneIn: number; readonly policy: 'reject' | 'requeue' };
  readonly concurrency?: number;
  /** The concurrency changes while it runs; 0 stops it for a while. */
  readonly changes?: readonly { readonly at: number; readonly to: number }[];
  /** Messages are worked on in order per key, of which there are this many. */
  readonly keys?: number;
  /** After `fail` it begins anew. */
  readonly onError: 'requeue-once' | 'requeue' | 'reject' | 'retry' | 'fail';
  /** How it retries, if it does. */
  readonly retry?: RetryPlan;
  /** How many of a hundred runs fail, and how many hang for a while. */
  readonly fails: number;
  readonly hangs: number;
  /** ms that a run takes, at most. */
  readonly takes: number;
  readonly timeout?: number;
  /** ms that the broker gives it for a delivery. */
  readonly consumerTimeout?: number;
  /** When it is paused, and for how long. */
  readonly pauses: readonly { readonly at: number; readonly ms: number }[];
  readonly ends?: { readonly at: number; readonly by: 'until' | 'unsubscribe' };
  /** ms for which another subscriber of the same deliveries stays after it was unsubscribed from. */
  readonly shared?: number;
}

/** How often a failed message is tried, after which delays, and where it waits for them and ends. */
export interface RetryPlan {
  readonly attempts: number;
  readonly delay: readonly number[];
  readonly waitIn: 'classic' | 'quorum' | 'queue';
  readonly then: 'reject' | { readonly queue: string };
}

/** A responder on a queue of its own, and somebody who asks. */
export interface RequesterPlan {
  readonly at: number;
  readonly every: number;
  readonly requests: number;
  readonly idempotent: boolean;
  readonly fails: number;
  readonly takes: number;
  readonly timeout: number;
}

/** A partitioned queue, one that sends to it, and the processes that share its work. */
export interface PartitionsPlan {
  readonly at: number;
  readonly every: number;
  readonly messages: number;
  readonly keys: number;
  readonly partitions: number;
  readonly prefetch: number;
  /** ms that a run takes, at most. */
  readonly takes: number;
  /** `leavesAt`: ms after it came. */
  readonly members: readonly { readonly at: number; readonly leavesAt?: number }[];
  /** At the end it is made anew with so many partitions. */
  readonly resize?: number;
}

/** What somebody does with the dead letters. */
export interface LettersPlan {
  readonly at: number;
  readonly does: 'groups' | 'replay' | 'move' | 'drop';
  /** Letters that it reads at most. */
  readonly limit?: number;
  /** It moves them to a queue that is not there. */
  readonly nowhere?: true;
}

/** A consumer of a stream. */
export interface ReaderPlan {
  readonly at: number;
  /** An index into the queues. */
  readonly queue: number;
  readonly from: 'first' | 'next' | number;
  readonly prefetch: number;
  readonly works: 'handle' | 'by-hand';
  readonly concurrency: number;
  readonly onError: 'requeue-once' | 'requeue' | 'reject';
  readonly fails: number;
  readonly takes: number;
  readonly pauses: readonly { readonly at: number; readonly ms: number }[];
  /** It reads messages with these filter values alone. */
  readonly filter?: { readonly values: readonly string[]; readonly matchUnfiltered: boolean };
  /** When it ends; another one goes on behind the offset that it reported last. */
  readonly resumesAt?: number;
}
