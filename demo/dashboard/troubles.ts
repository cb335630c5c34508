import { PublishError } from 'instance-queue';
import { setTimeout as wait } from 'node:timers/promises';
import { deleteQueue } from '../delete-queue';
import type { Scene } from './scene';

/** The end of a fault, from which recovery is measured. */
export interface Blow {
  readonly at: number;
  readonly note?: string;
}

/** A fault that a button injects. */
export interface Trouble {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly group: 'Connections' | 'Network' | 'Broker' | 'Messages';
  /** Needs a private broker. */
  readonly control?: boolean;
  /** ms that the fault lasts. */
  readonly lasts?: number;
  /** On abort, it undoes the fault at once. */
  act(scene: Scene, signal: AbortSignal): Promise<Blow>;
}

const REFUSED_FOR = 5000;
/** Longer than heartbeats of 2 s take to detect it. */
const BLACK_HOLE_FOR = 8000;
const ALARM_FOR = 5000;

const now = (): Blow => ({ at: performance.now() });
const seconds = (ms: number): string => `${String(ms / 1000)} s`;
/** Shorter, if aborted. */
const last = (ms: number, signal: AbortSignal): Promise<void> => wait(ms, undefined, { signal }).catch(() => undefined);

export const TROUBLES: readonly Trouble[] = [
  {
    id: 'cut-consumer',
    title: 'Cut consumer',
    hint: 'TCP reset on its link',
    group: 'Connections',
    act: ({ links }) => {
      links.cut('consumer');
      return Promise.resolve(now());
    },
  },
  {
    id: 'cut-producer',
    title: 'Cut producer',
    hint: 'TCP reset on its link',
    group: 'Connections',
    act: ({ links }) => {
      links.cut('producer');
      return Promise.resolve(now());
    },
  },
  {
    id: 'refuse',
    title: `Refuse for ${seconds(REFUSED_FOR)}`,
    hint: 'Both links cut, the port closed',
    group: 'Network',
    lasts: REFUSED_FOR,
    act: async ({ proxy }, signal) => {
      proxy.refuse();
      proxy.cut();
      await last(REFUSED_FOR, signal);
      await proxy.restore();
      return now();
    },
  },
  {
    id: 'black-hole',
    title: 'Black hole',
    hint: `Bytes vanish for ${seconds(BLACK_HOLE_FOR)}`,
    group: 'Network',
    lasts: BLACK_HOLE_FOR,
    act: async ({ proxy }, signal) => {
      proxy.blackHole();
      await last(BLACK_HOLE_FOR, signal);
      // Neither side is notified of the end: heartbeats and new dials detect it.
      await proxy.restore({ reset: false });
      proxy.sweep();
      return now();
    },
  },
  {
    id: 'memory-alarm',
    title: 'Memory alarm',
    hint: `Blocks publishing for ${seconds(ALARM_FOR)}`,
    group: 'Broker',
    control: true,
    lasts: ALARM_FOR,
    act: async ({ broker }, signal) => {
      try {
        await broker.memoryAlarm(true);
        await last(ALARM_FOR, signal);
      } finally {
        await broker.memoryAlarm(false);
      }
      return now();
    },
  },
  {
    id: 'delete-queue',
    title: 'Delete queue',
    hint: 'With all that waits in it',
    group: 'Broker',
    act: async ({ broker, queueName, books }) => {
      const at = await deleteQueue(broker.url, queueName);
      books.deleted(at);
      return { at };
    },
  },
  {
    id: 'restart-broker',
    title: 'Restart broker',
    hint: 'Stopped, started again',
    group: 'Broker',
    control: true,
    act: async ({ broker }) => {
      await broker.stopApp();
      await broker.startApp();
      return now();
    },
  },
  {
    id: 'poison',
    title: 'Poison message',
    hint: 'To a missing exchange',
    group: 'Messages',
    act: async ({ queue }, signal) => {
      const { at } = now();
      const refused = await queue
        .send({ exchange: 'there-is-no-such-exchange', body: {} }, { signal })
        .catch((error: unknown) => error);
      return { at, note: refused instanceof PublishError ? `Refused alone (${refused.code})` : 'It was not refused' };
    },
  },
  {
    id: 'undecodable',
    title: 'Undecodable message',
    hint: 'Claims JSON, and is not',
    group: 'Messages',
    act: async ({ queue, queueName }, signal) => {
      const { at } = now();
      const body = Buffer.from('{ this is no JSON');
      await queue.send({ queue: queueName, contentType: 'application/json', body }, { signal });
      return { at };
    },
  },
];
