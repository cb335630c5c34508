import type { InstanceQueue } from 'instance-queue';
import type { FaultProxy } from 'instance-queue/testing';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Broker } from '../../compose/broker';
import { deleteQueue } from '../delete-queue';

/** What the tour works with. */
export interface Scene {
  readonly broker: Broker;
  /** In front of the broker; both connections go through it. */
  readonly proxy: FaultProxy;
  readonly queue: InstanceQueue;
  readonly queueName: string;
  /** Names at the broker. */
  readonly names: { readonly consumer: string; readonly producer: string };
}

/** When a fault began and when it was over, of the monotonic clock; the same for a fault that is a moment. */
export interface Outage {
  readonly from: number;
  readonly to: number;
}

/** One thing that goes wrong. `act` resolves when it is over; recovery is measured from there. */
export interface Disruption {
  readonly title: string;
  /** How often; recovery is the median. */
  readonly times?: number;
  /** Needs a broker of our own. */
  readonly control?: boolean;
  readonly act: (scene: Scene) => Promise<Outage>;
  /** Does it take the messages in the queue with it? */
  readonly sinks?: boolean;
}

const REFUSED_FOR = 3000;

const now = (): number => performance.now();
const moment = (at = now()): Outage => ({ from: at, to: at });

/** A command to the broker takes a while: the fault is when the client notices it. */
async function noticed({ queue }: Scene, command: Promise<unknown>): Promise<Outage> {
  const lost = once(queue, 'reconnecting').then(now);
  await command;
  return moment(await lost);
}

export const DISRUPTIONS: readonly Disruption[] = [
  {
    title: "broker closes the consumer's connection",
    control: true,
    act: (scene) => noticed(scene, scene.broker.closeConnection(scene.names.consumer)),
  },
  {
    title: "broker closes the producer's connection",
    control: true,
    act: (scene) => noticed(scene, scene.broker.closeConnection(scene.names.producer)),
  },
  {
    title: 'broker closes both connections',
    control: true,
    act: (scene) => {
      const { consumer, producer } = scene.names;
      return noticed(
        scene,
        Promise.all([scene.broker.closeConnection(consumer), scene.broker.closeConnection(producer)]),
      );
    },
  },
  {
    title: 'TCP links cut, 5 times',
    times: 5,
    act: ({ proxy }) => {
      proxy.cut();
      return Promise.resolve(moment());
    },
  },
  {
    title: `connections refused for ${String(REFUSED_FOR / 1000)} s`,
    act: async ({ proxy }) => {
      const from = now();
      proxy.refuse();
      proxy.cut();
      await pause(REFUSED_FOR);
      await proxy.restore();
      return { from, to: now() };
    },
  },
  {
    title: 'a message to an exchange that does not exist',
    act: async ({ queue }) => {
      const sent = moment();
      // The broker refuses it by closing the channel that all other messages are on.
      await queue.send({ exchange: 'there-is-no-such-exchange', body: {} }).catch(() => undefined);
      return sent;
    },
  },
  {
    title: 'queue deleted while both sides use it',
    sinks: true,
    act: async ({ broker, queueName }) => moment(await deleteQueue(broker.url, queueName)),
  },
  {
    title: 'broker restarted',
    control: true,
    act: async ({ broker }) => {
      const from = now();
      await broker.stopApp();
      await broker.startApp();
      return { from, to: now() };
    },
  },
];
