import { distinctUntilChanged, from, tap, type Observable, type ObservableInput } from 'rxjs';
import { OptionsError, isInstanceQueueError, type InstanceQueueError } from '../errors';
import { boolean, expected } from '../options';

/** What `pause` says, checked, each change once. Emits, completes and errors as it does; errors also with an OptionsError. */
export function pauses(pause: ObservableInput<boolean>): Observable<boolean> {
  return from(pause).pipe(
    tap((paused) => {
      if (boolean(paused) !== undefined) throw expected('pause', 'an Observable of true and false', paused);
    }),
    distinctUntilChanged(),
  );
}

/** Why a consumer ends whose `pause` failed. */
export function pauseFailed(queueName: string, cause: unknown): InstanceQueueError {
  if (isInstanceQueueError(cause)) return cause;
  const message = `The \`pause\` of the consumer of queue \`${queueName}\` failed, and the consumer ends with it: nobody would tell it to go on.`;
  return new OptionsError('pause', message, { cause });
}
