import type { MemoryBroker } from '../memory-broker';
import { MemoryQueue } from '../memory/queue';
import { Refusal } from '../memory/refusal';
import type { Random } from './random';

/** The direction in which a connection is broken first. */
export type Direction = 'toBroker' | 'toClient';

/** What happens to new connections. */
export type Dialling = 'accept' | 'refuse' | 'silence';

/** One fault. `at`: ms from the start. `ms`: how long it lasts. `queue`: an index into the queues that there are. */
export type Fault = { readonly at: number } & (
  | { readonly kind: 'cut'; readonly direction: Direction; readonly after: number }
  | { readonly kind: 'silence' | 'refused-dials' | 'unanswered-dials' | 'restart' | 'alarm'; readonly ms: number }
  | { readonly kind: 'channel-closed'; readonly replyCode: 403 | 404 | 405 | 406 | 541 }
  | { readonly kind: 'nacks'; readonly count: number }
  | { readonly kind: 'cancelled'; readonly queue: number }
  /** `again`: another client declares it again at once. */
  | { readonly kind: 'queue-deleted'; readonly queue: number; readonly again?: boolean }
  | { readonly kind: 'election' | 'denied'; readonly queue: number; readonly ms: number }
  /** Meanwhile the broker blocks publishers whenever its queues hold more than that. */
  | { readonly kind: 'memory-limit'; readonly bytes: number; readonly ms: number }
);

/** What can go wrong in a simulation. */
export type FaultKind = Fault['kind'];

/** All kinds, the harmless ones first. */
export const FAULT_KINDS: readonly [FaultKind, ...FaultKind[]] = [
  'cut',
  'silence',
  'refused-dials',
  'unanswered-dials',
  'restart',
  'alarm',
  'memory-limit',
  'channel-closed',
  'nacks',
  'cancelled',
  'election',
  'queue-deleted',
  'denied',
];

/** Draws faults that begin and end within `duration` ms. */
export function drawFaults(
  random: Random,
  count: number,
  duration: number,
  kinds: readonly [FaultKind, ...FaultKind[]] = FAULT_KINDS,
): readonly Fault[] {
  const faults = Array.from({ length: count }, (): Fault => {
    const at = random.integer(1, Math.max(1, Math.floor(duration * 0.6)));
    const ms = random.integer(50, Math.max(50, Math.floor(duration * (random.chance(0.2) ? 0.4 : 0.1))));
    const queue = random.integer(0, 7);
    const kind = random.pick(kinds);
    switch (kind) {
      case 'cut':
        return { at, kind, direction: random.pick(['toBroker', 'toClient']), after: random.integer(0, 12) };
      case 'channel-closed':
        return { at, kind, replyCode: random.pick([403, 404, 405, 406, 541]) };
      case 'nacks':
        return { at, kind, count: random.integer(1, 6) };
      case 'cancelled':
        return { at, kind, queue };
      case 'queue-deleted':
        return { at, kind, queue, again: random.chance(0.5) };
      case 'election':
      case 'denied':
        return { at, kind, queue, ms };
      case 'memory-limit':
        return { at, kind, bytes: random.pick([50, 200, 1000]), ms };
      default:
        return { at, kind, ms };
    }
  });
  return faults.sort((a, b) => a.at - b.at);
}

/** When a fault is over, ms from the start. */
export const endOf = (fault: Fault): number => fault.at + ('ms' in fault ? fault.ms : 0);

/** What faults do to a network. */
export interface FaultyNetwork {
  /** What happens to new connections from now on. */
  set dialling(dialling: Dialling);
  /** Cuts a connection once some more has arrived in one direction. */
  cut(direction: Direction, after: number): void;
  /** Nothing arrives for `ms`. */
  silence(ms: number): void;
  /** The broker closes a channel. */
  closeChannel(refusal: Refusal): void;
  /** The broker shuts down, and is back after `ms`. */
  restart(ms: number): void;
}

/** A connection of another client. */
const ANOTHER = {};

/** Makes a fault happen now. */
export function inflict(fault: Fault, broker: MemoryBroker, network: FaultyNetwork): void {
  const { vhost } = broker;
  const name = ('queue' in fault && broker.queues[fault.queue % Math.max(1, broker.queues.length)]?.name) || '';
  switch (fault.kind) {
    case 'cut':
      network.cut(fault.direction, fault.after);
      break;
    case 'silence':
      network.silence(fault.ms);
      break;
    case 'refused-dials':
    case 'unanswered-dials':
      network.dialling = fault.kind === 'refused-dials' ? 'refuse' : 'silence';
      setTimeout(() => {
        network.dialling = 'accept';
      }, fault.ms);
      break;
    case 'restart':
      network.restart(fault.ms);
      break;
    case 'alarm':
      broker.block();
      setTimeout(() => {
        broker.unblock();
      }, fault.ms);
      break;
    case 'memory-limit':
      limitMemory(broker, fault.bytes, fault.ms);
      break;
    case 'channel-closed':
      network.closeChannel(new Refusal(fault.replyCode, 'simulated'));
      break;
    case 'nacks':
      broker.nackNext(fault.count);
      break;
    case 'cancelled':
      // Readers of a stream are only cancelled when it is deleted.
      if (vhost.find(name) instanceof MemoryQueue) broker.cancelConsumers(name);
      break;
    case 'queue-deleted': {
      const { declaration, owner } = vhost.find(name) ?? {};
      broker.deleteQueue(name);
      // The other client may have no permission, and never an exclusive queue.
      const may = owner === undefined && !vhost.denied.has(name);
      if (fault.again === true && declaration && may) vhost.declareQueue(name, declaration, ANOTHER);
      break;
    }
    case 'election': {
      const queue = vhost.find(name);
      if (!(queue instanceof MemoryQueue)) break;
      queue.leaderless = true;
      setTimeout(() => {
        // One that was deleted meanwhile keeps no timer.
        if (vhost.find(name) === queue) queue.leaderless = false;
      }, fault.ms);
      break;
    }
    case 'denied':
      vhost.denied.add(name);
      setTimeout(() => {
        vhost.denied.delete(name);
      }, fault.ms);
      break;
  }
}

/** ms between two looks at the memory in use. */
const LOOK_EVERY = 100;

/** The broker looks at its memory every so often, and blocks publishers while too much is in use. */
function limitMemory(broker: MemoryBroker, bytes: number, ms: number): void {
  const until = performance.now() + ms;
  let blocks = false;
  const look = (): void => {
    const over = performance.now() >= until;
    const ready = broker.vhost.queues.flatMap((queue) => queue.ready);
    const used = ready.reduce((sum, { message }) => sum + message.content.length, 0);
    const before = blocks;
    blocks = used > bytes && !over;
    if (blocks && !before) broker.block();
    if (before && !blocks) broker.unblock();
    if (!over) setTimeout(look, Math.min(LOOK_EVERY, until - performance.now()));
  };
  look();
}
