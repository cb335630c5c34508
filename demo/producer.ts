/** `npm run demo:producer`: sends a message every two seconds until Ctrl-C, through every outage of the broker. */
import { InstanceQueue } from 'instance-queue';
import { randomUUID } from 'node:crypto';
import { catchError, EMPTY, from, lastValueFrom, map, mergeMap, takeUntil, tap, timer } from 'rxjs';
import { say, sayStates, shutdown } from './console';
import { settings } from './settings';

async function main(): Promise<void> {
  const { url, queue: name } = settings();
  const queue = new InstanceQueue({ url, name: 'demo-producer', authErrors: 'retry' });
  sayStates(queue);

  const tick$ = timer(0, 2000).pipe(takeUntil(shutdown()));
  const sent$ = tick$.pipe(
    map((n) => ({ n, message: { queue: name, correlationId: randomUUID(), body: { n } } })),
    tap(({ n, message }) => {
      say(`sending ${String(n)}, correlation id ${message.correlationId}`);
    }),
    mergeMap(({ n, message }) =>
      // No deadline: even an hour without a broker loses no message.
      from(queue.send(message, { timeout: 3_600_000 })).pipe(
        tap(({ attempts, epoch }) => {
          say(`confirmed ${String(n)} at attempt ${String(attempts)} in epoch ${String(epoch)}`);
        }),
        catchError((error: unknown) => {
          say(`not confirmed: ${String(n)}. ${String(error)}`);
          return EMPTY;
        }),
      ),
    ),
  );
  const closed = lastValueFrom(shutdown()).then(async () => {
    say('closing');
    const { unconfirmed } = await queue.close();
    say(`closed, ${String(unconfirmed)} messages left unconfirmed`);
  });
  await Promise.all([lastValueFrom(sent$, { defaultValue: undefined }), closed]);
}

void main();
