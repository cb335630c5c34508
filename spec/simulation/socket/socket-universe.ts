import { InstanceQueue } from 'instance-queue';
import type { UniverseOptions } from '../../../lib/testing/simulation/universe';
import { described } from '../../../lib/testing/simulation/universe';
import type { World } from '../../../lib/testing/simulation/world';
import type { Findings } from '../findings';
import { SocketNetwork } from './socket-network';
import { endOfSocketFault, type SocketPlan } from './socket-plan';

/** What a universe needs to go down to the socket: the network, clients that dial over it, and what goes wrong on it. */
export class SocketUniverse {
  readonly options: Pick<UniverseOptions, 'network' | 'client' | 'happenings'>;
  readonly #nonsense: string[] = [];
  #network: SocketNetwork | undefined;

  constructor(world: World, plan: SocketPlan) {
    const { wire, heartbeat, faults, connectTimeout } = plan;
    this.options = {
      network: (host, random) => {
        const network = new SocketNetwork(world, random, plan, host, (what) => this.#nonsense.push(what));
        this.#network = network;
        return network;
      },
      client: (options) =>
        new InstanceQueue({
          ...options,
          url: 'amqp://guest:guest@broker.simulated',
          wire,
          heartbeat,
          ...(connectTimeout !== undefined && { connectTimeout }),
        }),
      happenings: faults.map((fault) => ({
        at: fault.at,
        until: endOfSocketFault(fault, heartbeat),
        what: described(fault),
        begin: () => {
          this.#network?.inflict(fault);
        },
      })),
    };
  }

  /** From now on `net.connect` dials this network; returns what ends that. */
  replaceNet(): (() => void) | undefined {
    return this.#network?.replaceNet();
  }

  /** At the end, after the close. */
  judge(findings: Findings): void {
    for (const what of this.#nonsense) findings.violate('the-client-speaks-amqp', what);
    const { clientSockets = 0 } = this.#network ?? {};
    if (clientSockets > 0) findings.violate('no-socket-is-left-after-close', `${String(clientSockets)} sockets`);
  }
}
