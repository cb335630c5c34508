import { setTimeout as pause } from 'node:timers/promises';
import type { Broker } from '../../../compose/broker';
import type { FaultProxy } from 'instance-queue/testing';
import type { Fault } from './faults';

/** What a fault can get hold of. */
export interface Victim {
  readonly name: string;
  readonly proxy: FaultProxy;
}

/** Breaks something, waits, and mends it. */
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
      // It may be on its way back from the fault before: then there is nothing to close.
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
  // Not reset after a black hole, the links stay silent, and only heartbeats find out.
  await proxy.restore({ reset: how < 0.5 });
}
