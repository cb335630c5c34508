import { MemoryBroker } from 'instance-queue/testing';
import { amqpTransport } from '../../../lib/amqp/amqp-transport';
import { Random } from '../../../lib/testing/simulation/random';
import { dialled, hangUp } from '../../support/dialled';
import { linkingLaws } from '../../support/laws/linking';
import type { Clock } from './byte-line';
import { SocketNetwork } from './socket-network';
import { socketPlanOf } from './socket-plan';

// The server of the simulation keeps the laws that RabbitMQ keeps: spec/integration/amqp/linking.spec.ts

const realTime: Clock = {
  get now() {
    return performance.now();
  },
  after: (ms, task) => {
    // The broker waits for half a minute for a client that does not answer. Jest does not.
    const timer = setTimeout(task, ms).unref();
    let isWaiting = true;
    return {
      get waiting() {
        return isWaiting;
      },
      set waiting(waiting) {
        isWaiting = waiting;
        if (!waiting) clearTimeout(timer);
      },
    };
  },
};

const nonsense: string[] = [];
let restore: (() => void) | undefined;
let number = 0;

beforeEach(() => {
  const plan = { ...socketPlanOf(++number, 1000), latency: { least: 0, most: 1 }, faults: [] };
  new MemoryBroker({
    transport: (host) => {
      const network = new SocketNetwork(realTime, new Random(number), plan, host, (what) => nonsense.push(what));
      restore = network.replaceNet();
      return network;
    },
  });
});
afterEach(() => {
  hangUp();
  restore?.();
  expect(nonsense).toEqual([]);
});

describe.each([true, false])('a link over amqplib to the server of the simulation (wire: %s)', (wire) => {
  linkingLaws(() => dialled(amqpTransport, 'amqp://guest:guest@broker.simulated', { wire }));
});
