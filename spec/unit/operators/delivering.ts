/** Shared by the specs of `handle` in virtual time. */
import { map } from 'rxjs';
import type { RunHelpers } from 'rxjs/testing';
import type { Handled } from 'instance-queue';
import { deliveries, type FakeDelivery } from '../../support/fake-delivery';

/** One delivery per letter of a diagram; all write to one log. */
export function source(
  { cold }: Pick<RunHelpers, 'cold'>,
  diagram: string,
): { readonly source$: ReturnType<typeof cold<FakeDelivery>>; readonly log: string[] } {
  const log: string[] = [];
  const all = Object.fromEntries(deliveries('abcdef', log).map((delivery) => [delivery.body, delivery]));
  return { source$: cold(diagram, all), log };
}
/** The body, in capitals unless it was acked. */
export const bodies = map(({ message, settlement }: Handled<string, unknown>) =>
  settlement === 'ack' ? message.body : message.body.toUpperCase(),
);
