/**
 * `npm run hops`: the files of `lib/` through which one message passes, on its way out (`send`, until it is confirmed) and in (a
 * delivery through `handle`, until it is acked), with the functions that ran in each. V8 counts the calls, in a warm process.
 *
 * What runs is the output of tsc, a file for each source: esbuild would add a function to read an import.
 */
import { connect } from 'amqplib';
import { Session, type Profiler } from 'node:inspector/promises';
import { relative, resolve, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startBroker } from '../../compose/broker';

const QUEUE = 'hops';
const WARM_UP = 200;
/** ms until gathered acks are written and acknowledged. */
const SETTLED = 100;
const LIB = resolve(__dirname, '../../node_modules/.cache/hops') + sep;

/** The files in which a function ran. */
function crossed(scripts: readonly Profiler.ScriptCoverage[]): readonly string[] {
  return scripts
    .map(({ url, functions }) => ({
      path: url.replace('file://', ''),
      ran: functions.filter(({ ranges }) => ranges.some(({ count }) => count > 0)),
    }))
    .filter(({ path, ran }) => path.startsWith(LIB) && ran.length > 0)
    .map(({ path, ran }) => {
      const names = new Set(ran.map(({ functionName }) => functionName || '=>'));
      return `${relative(LIB, path).replace(/\.js$/, '.ts')}: ${[...names].join(', ')}`;
    })
    .sort();
}

async function main(): Promise<void> {
  const { InstanceQueue, handle } = (await import(`${LIB}index.js`)) as typeof import('../../lib');
  const broker = await startBroker();
  const queue = new InstanceQueue(broker.url);
  const inspector = new Session();
  inspector.connect();
  await inspector.post('Profiler.enable');

  const count = async (title: string, pass: () => Promise<unknown>): Promise<void> => {
    for (let i = 0; i < WARM_UP; i++) await pass();
    await pause(SETTLED);
    await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    await pass();
    await pause(SETTLED);
    const files = crossed((await inspector.post('Profiler.takePreciseCoverage')).result);
    await inspector.post('Profiler.stopPreciseCoverage');
    process.stdout.write(`${[`${title}: ${files.length} files`, ...files].join('\n  ')}\n\n`);
  };

  await count('send', () => queue.send({ queue: QUEUE, body: { id: 1 } }));

  const sender = await connect(broker.url);
  const channel = await sender.createChannel();
  await channel.purgeQueue(QUEUE);
  let worked = (): void => undefined;
  const consuming = queue
    .consume({ queue: QUEUE })
    .pipe(handle(() => worked()))
    .subscribe({ error: console.error });
  await count('delivery', () => {
    channel.sendToQueue(QUEUE, Buffer.from('{"id":1}'), { contentType: 'application/json' });
    return new Promise<void>((resolve) => (worked = resolve));
  });
  consuming.unsubscribe();
  inspector.disconnect();
  await queue.close();
  await sender.close();
  await broker.stop();
}

void main();
