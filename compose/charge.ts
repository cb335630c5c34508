import { removeContainer } from './docker-container';
import { removeNodes, type LocalNode } from './local-node';

/** What a warden has to clear away. JSON. */
export type Charge =
  | { readonly how: 'local'; readonly nodes: readonly LocalNode[] }
  | { readonly how: 'docker'; readonly container: string };

export function removeCharge(charge: Charge): Promise<void> {
  return charge.how === 'local' ? removeNodes(charge.nodes) : removeContainer(charge.container);
}
