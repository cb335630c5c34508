import type { ConnectionState, Health, Role } from 'instance-queue';

/** What one of the two connections is good for at the moment. */
export type PhaseName =
  'idle' | 'connecting' | 'up' | 'blocked' | 'paused' | 'attaching' | 'opening' | 'reconnecting' | 'closing' | 'closed';

export interface Phase {
  readonly name: PhaseName;
  readonly epoch?: number;
  readonly cause?: string;
  readonly attempt?: number;
}

/** From the connection's state, and from what works over it: a connection alone receives nothing. */
export function phaseOf(role: Role, health: Health): Phase {
  const state = health.connections[role];
  if (state.status !== 'connected') return unconnected(state);
  const { epoch } = state;
  if (role === 'producer') {
    if (health.blocked !== undefined) return { name: 'blocked', epoch, cause: `The broker says: ${health.blocked}` };
    const opening = health.producers.find(({ status }) => status !== 'open');
    return opening ? { name: 'opening', epoch, ...causeOf(opening) } : { name: 'up', epoch };
  }
  const away = health.consumers.find(({ status }) => status !== 'attached');
  if (away?.status === 'paused') return { name: 'paused', epoch };
  return away ? { name: 'attaching', epoch, ...causeOf(away) } : { name: 'up', epoch };
}

function unconnected(state: Exclude<ConnectionState, { status: 'connected' }>): Phase {
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
  }
}

function causeOf(state: object): { readonly cause?: string } {
  return 'cause' in state && state.cause instanceof Error ? { cause: state.cause.message } : {};
}
