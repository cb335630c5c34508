import type { Fault } from '../fault';
import { BACK_PRESSURE } from './back-pressure';
import { BROKER_FAULTS } from './broker';
import { ENTITY_FAULTS } from './entities';
import { FLAPS_FAULT } from './flaps';
import { LINK_FAULTS } from './links';
import { PROCESS_FAULTS } from './process';

const { cut, refused, 'black-hole': blackHole, ...links } = LINK_FAULTS;
const { restart, ...broker } = BROKER_FAULTS;

/** The rows of the table in order, by the names of `--faults`. */
export const FAULTS = {
  cut,
  refused,
  ...ENTITY_FAULTS,
  restart,
  'black-hole': blackHole,
  ...links,
  ...BACK_PRESSURE,
  ...FLAPS_FAULT,
  ...broker,
  ...PROCESS_FAULTS,
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;
