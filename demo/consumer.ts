/** `npm run demo:consumer`: consumes until Ctrl-C, through every outage of the broker. */
import { handle, InstanceQueue } from 'instance-queue';
import { defer, lastValueFrom, race, retry, shareReplay, timer } from 'rxjs';
import { say, sayStates, shutdown } from './console';
import { settings } from './settings';

async function main(): Promise<void> {
  const { url, queue: name } = settings();
  const queue = new InstanceQueue({
    url,
    name: 'demo-consumer',
    consumer: { tagPrefix: 'demo-consumer' },
    authErrors: 'retry',
  });
  sayStates(queue);

  // Replayed to late subscribers.
  const stop$ = shutdown().pipe(shareReplay({ bufferSize: 1, refCount: false }));
  const deliveries$ = defer(() => {
    const consumer = queue.consumer<{ n: number }>({ queue: name, until: stop$ });
    consumer.on('attached', ({ tag, queue: from }) => {
      say(`attached to ${from} as ${tag}`);
    });
    consumer.on('detached', ({ cause }) => {
      if (cause) say(`detached. ${cause.message}`);
    });
    consumer.on('stopped', ({ cause }) => {
      if (cause) say(`refused. ${cause.message}`);
    });
    return consumer.deliveries$;
  });
  const handled$ = deliveries$.pipe(
    handle(({ body, properties, redelivered }) => {
      const { correlationId = 'none' } = properties;
      say(`received ${String(body.n)}${redelivered ? ' again' : ''}, correlation id ${correlationId}`);
    }),
    // Also retries a first attach that is refused for good: the user of a demo may be correcting the cause.
    retry({ delay: () => race(timer(2000), stop$) }),
  );
  await lastValueFrom(handled$, { defaultValue: undefined });
  say('closing');
  const { unsettled } = await queue.close();
  say(`closed, ${String(unsettled)} messages left unsettled`);
}

void main();
