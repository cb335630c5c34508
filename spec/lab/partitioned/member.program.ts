/**
 * One process that consumes a partitioned queue: the child of `partitioned.program.ts`. Each message goes into a file before it is
 * acked, so that a SIGKILL loses no record of it: key, number, whether it was redelivered, and the time on the clock that all
 * processes of this machine share. Changes of the assignment go to the parent.
 */
import { openSync, writeSync } from 'node:fs';
import { InstanceQueue, handle } from '../../../lib';

const [urls = '', name = '', partitions = '', file = ''] = process.argv.slice(2);
const records = openSync(file, 'a');
const queue = new InstanceQueue({ url: urls.split(','), logger: 'silent', reconnect: { max: 500 } });
const partitioned = queue.partitioned<{ key: string; n: number }>({ name, partitions: Number(partitions) });

const say = (what: object): void => void process.send?.(what);
partitioned.assignment$.subscribe((assignment) => say({ assignment }));
partitioned
  .consume({ prefetch: 100 })
  .pipe(
    handle(({ body: { key, n }, redelivered, partition }) => {
      writeSync(records, `${key} ${n} ${redelivered ? 1 : 0} ${process.hrtime.bigint()} ${partition ?? -1}\n`);
    }),
  )
  .subscribe({ error: (error: unknown) => say({ error: String(error) }) });
say({ began: true });

process.on('SIGTERM', () => {
  say({ leaving: true });
  void queue.close().then(() => process.exit(0));
});
// An orphan must not go on consuming.
process.on('disconnect', () => process.exit(1));
