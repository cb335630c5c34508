import type { InstanceQueue } from 'instance-queue';
import type { Broker } from '../../compose/broker';
import type { FaultProxy } from 'instance-queue/testing';
import type { Books } from './books';
import type { LinkRoles } from './link-roles';
import type { Traffic } from './traffic';

/** Everything that runs and that faults can be injected into. */
export interface Scene {
  readonly broker: Broker;
  /** In front of the broker; both connections go through it. */
  readonly proxy: FaultProxy;
  readonly links: LinkRoles;
  readonly queue: InstanceQueue;
  readonly queueName: string;
  readonly traffic: Traffic;
  readonly books: Books;
}
