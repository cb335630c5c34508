/**
 * The program of the process that outlives the owner of a broker: it reads its input, which nobody writes to, and the end of
 * which means that the owner is gone, however it went. Then it clears away what the owner left.
 */
import { removeCharge, type Charge } from './charge';

const charge = JSON.parse(process.argv[2] ?? 'null') as Charge;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

process.stdin.resume().once('close', () => {
  removeCharge(charge).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
