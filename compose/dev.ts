/** `npm run dev`: a broker until Ctrl-C, on the usual port if that is free. */
import { startBroker } from './broker';

/** What the demos dial when they are not told. */
const USUAL_URL = 'amqp://guest:guest@127.0.0.1:5672';

async function main(): Promise<void> {
  const broker = await startBroker({ port: 5672, say: console.log });
  // With it they need not be told where the broker is.
  const usual = new URL(broker.url).port === '5672' && broker.how !== 'url';
  const prefix = usual ? '' : `AMQP_URL=${broker.url} `;
  console.log(`
  Broker      ${usual ? USUAL_URL : broker.url}

  In two other terminals:
  Consumer    ${prefix}npm run demo:consumer
  Producer    ${prefix}npm run demo:producer

  Ctrl-C ${broker.how === 'url' ? 'ends this; the broker of AMQP_URL goes on' : 'stops the broker, and nothing of it is left'}
`);
  await interrupted();
  console.log('Stopping …');
  await broker.stop();
}

/** Resolves at the first signal to end. A second one ends us at once, and the warden clears away. */
function interrupted(): Promise<void> {
  // Waiting for a signal alone does not keep the process up.
  const alive = setInterval(() => undefined, 60_000);
  return new Promise((resolve) => {
    const end = (): void => {
      clearInterval(alive);
      for (const signal of signals) process.off(signal, end);
      resolve();
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, end);
  });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
