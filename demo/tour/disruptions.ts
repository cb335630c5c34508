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

/** One thing that goes wrong. `act` resolves with when it happened, or was over; recovery is counted from there. */
export interface Disruption {
  readonly title: string;
  /** How often; recovery is the median. */
  readonly times?: number;
  /** Needs a broker of our own. */
  readonly control?: boolean;
  readonly act: (scene: Scene) => Promise<number>;
  /** Does it take the messages in the queue with it? */
  readonly sinks?: boolean;
}

const REFUSED_FOR = 3000;

const now = (): number => performance.now();

/** A command to the broker takes a while: the fault is when we hear of it. */
async function heard({ queue }: Scene, command: Promise<unknown>): Promise<number> {
  const lost = once(queue, 'reconnecting').then(now);
  await command;
  return lost;
}

export const DISRUPTIONS: readonly Disruption[] = [
  {
    title: "broker closes the consumer's connection",
    control: true,
    act: (scene) => heard(scene, scene.broker.closeConnection(scene.names.consumer)),
  },
  {
    title: "broker closes the producer's connection",
    control: true,
    act: (scene) => heard(scene, scene.broker.closeConnection(scene.names.producer)),
  },
  {
    title: 'broker closes both connections',
    control: true,
    act: (scene) => {
      const { consumer, producer } = scene.names;
      return heard(
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
      return Promise.resolve(now());
    },
  },
  {
    title: `connections refused for ${String(REFUSED_FOR / 1000)} s`,
    act: async ({ proxy }) => {
      proxy.refuse();
      proxy.cut();
      await pause(REFUSED_FOR);
      await proxy.restore();
      return now();
    },
  },
  {
    title: 'channel exception: a message to no exchange',
    act: async ({ queue }) => {
      const sent = now();
      // This one is refused, and closes the channel that all the others are on.
      await queue.send({ exchange: 'there-is-no-such-exchange', body: {} }).catch(() => undefined);
      return sent;
    },
  },
  {
    title: 'queue deleted under both',
    sinks: true,
    act: ({ broker, queueName }) => deleteQueue(broker.url, queueName),
  },
  {
    title: 'broker restarted',
    control: true,
    act: async ({ broker }) => {
      await broker.stopApp();
      await broker.startApp();
      return now();
    },
  },
];
