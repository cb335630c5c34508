import { setTimeout as pause } from 'node:timers/promises';
import type { Broker } from '../../../compose/broker';
import type { FaultProxy } from 'instance-queue/testing';
import type { Fault } from './faults';

/** What faults act on. */
export interface Victim {
  readonly name: string;
  readonly proxy: FaultProxy;
}

/** Injects a fault, waits, and undoes it. */
export async function inflict({ kind, lasts, how }: Fault, { name, proxy }: Victim, broker: Broker): Promise<void> {
  switch (kind) {
    case 'cut':
      proxy.cut();
      break;
    case 'finish':
      proxy.finish();
      break;
    case 'refuse':
      proxy.refuse();
      proxy.cut();
      break;
    case 'flaps':
      for (let i = 0; i < 5; i++) {
        proxy.cut();
        await pause(lasts / 5);
      }
      return;
    case 'black hole':
      proxy.blackHole();
      break;
    case 'delay':
      proxy.delay(50, 0.5);
      break;
    case 'stop reading':
      proxy.stopReading();
      break;
    case 'closed by the broker':
      // It may still be recovering from the previous fault. Then there is nothing to close.
      await broker.closeConnection(`${name}.${how < 0.5 ? 'producer' : 'consumer'}`).catch(() => undefined);
      return;
    case 'memory alarm':
      await broker.memoryAlarm(true);
      await pause(lasts);
      await broker.memoryAlarm(false);
      return;
    case 'broker restarted':
      await broker.stopApp();
      await broker.startApp();
      return;
  }
  await pause(lasts);
  // Without a reset after a black hole, the links stay silent, and only heartbeats detect it.
  await proxy.restore({ reset: how < 0.5 });
}
