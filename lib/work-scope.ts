import type { Arguments } from './properties';

/** The trace that the work on a message runs in, for what is done on behalf of that message once the work has ended. */
export interface WorkScope {
  /** Runs `step` as a part of the trace. */
  run<R>(step: () => R): R;
  /** Headers that continue the trace where a message that carries them is consumed. */
  headers(): Arguments;
}

const scopes = new WeakMap<object, WorkScope>();

/** Sets the trace scope for the work on a message; the tracer calls it. */
export function setWorkScope(message: object, scope: WorkScope): void {
  scopes.set(message, scope);
}

/** Runs `step` in the trace of the work on a message, if that is traced. */
export function inWorkScope<R>(message: object, step: () => R): R {
  const scope = scopes.get(message);
  return scope ? scope.run(step) : step();
}

/** Headers that continue the trace of the work on a message; none if that is not traced. */
export const workScopeHeaders = (message: object): Arguments => scopes.get(message)?.headers() ?? {};
