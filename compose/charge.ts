import { removeContainer } from './docker-container';
import { removeNode, type LocalNode } from './local-node';

/** What a warden has to clear away. JSON. */
export type Charge =
  { readonly how: 'local'; readonly node: LocalNode } | { readonly how: 'docker'; readonly container: string };

export function removeCharge(charge: Charge): Promise<void> {
  return charge.how === 'local' ? removeNode(charge.node) : removeContainer(charge.container);
}
