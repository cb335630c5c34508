import type { Health, InstanceQueueState } from '../health/health';

/** What one of the two connections can do at the moment. */
export type PhaseName =
  'idle' | 'connecting' | 'up' | 'blocked' | 'paused' | 'attaching' | 'opening' | 'reconnecting' | 'closing' | 'closed';

export interface Phase {
  readonly name: PhaseName;
  readonly epoch?: number;
  readonly cause?: string;
  readonly attempt?: number;
}

/** Combines the state of the connection with its consumers or producers: a connection alone receives and confirms nothing. */
export function phaseOf(role: keyof InstanceQueueState, health: Health): Phase {
  const state = health.connections[role];
  switch (state.status) {
    case 'disconnected':
      return { name: 'idle' };
    case 'connecting':
      return { name: 'connecting', attempt: state.attempt };
    case 'reconnecting':
      return { name: 'reconnecting', attempt: state.attempt, cause: state.cause.message };
    case 'closing':
      return { name: 'closing' };
    case 'closed':
      return { name: 'closed', ...causeOf(state) };
    case 'connected':
      return { ...(role === 'producer' ? producing(health) : consuming(health)), epoch: state.epoch };
  }
}

function producing({ blocked, producers }: Health): Phase {
  if (blocked !== undefined) return { name: 'blocked', cause: `The broker says: ${blocked}` };
  const opening = producers.find(({ status }) => status !== 'open');
  return opening ? { name: 'opening', ...causeOf(opening) } : { name: 'up' };
}

function consuming({ consumers }: Health): Phase {
  const away = consumers.find(({ status }) => status !== 'attached');
  if (away?.status === 'paused') return { name: 'paused' };
  return away ? { name: 'attaching', ...causeOf(away) } : { name: 'up' };
}

function causeOf(state: object): { readonly cause?: string } {
  return 'cause' in state && state.cause instanceof Error ? { cause: state.cause.message } : {};
}
