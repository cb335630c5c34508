import { PublishError } from 'instance-queue';
import { rejection } from './waiting';

/** The PublishError that a send rejects with. */
export async function publishError(sent: Promise<unknown>): Promise<PublishError> {
  const error = await rejection(sent);
  if (error instanceof PublishError) return error;
  throw new Error('Expected a PublishError', { cause: error });
}

/** How each send settled: 'confirmed', or the code of its error. */
export async function outcomes(sends: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(sends);
  return settled.map((result) => {
    if (result.status === 'fulfilled') return 'confirmed';
    return result.reason instanceof PublishError ? result.reason.code : String(result.reason);
  });
}
