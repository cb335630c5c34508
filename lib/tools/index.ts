/// <reference types="node" preserve="true" />
/**
 * What the command line is made of, for tests and tools of your own: dead-letter queues, a check of a connection, the messages
 * that pass an exchange, and a topology compared with the broker's.
 * @module instance-queue/tools
 */

export { DeadLetters, deadLetters } from '../dead-letters/dead-letters';
export type { LookOptions, MoveOptions, ReplayOptions, TakeOptions } from '../dead-letters/letter-options';
export type { DeadLetter } from '../dead-letters/dead-letter';
export type { DeadLetterFilter, Where } from '../dead-letters/letter-filter';
export type { DeadLetterGroup, DeadLetterGroups } from '../dead-letters/letter-groups';
export type { DeadLetterReport } from '../dead-letters/dead-letter-report';
export { checkConnection } from './check-connection';
export type { CheckOptions, CheckStep } from './check-connection';
export { compareTopology } from './compare-topology';
export type { CompareOptions, TopologyComparison } from './compare-topology';
export type { ManagementOptions } from './management';
export { tail } from './tail';
export type { TailOptions } from './tail';
