import { setTimeout as pause } from 'node:timers/promises';
import { monotonic } from '../clock';
import type { Fault } from '../fault';
import { firstWord } from '../up';
import { heard } from '../wire';

const ALARM_FOR = 10_000;
/** ms of work per message before and during the alarm, so that messages remain to be consumed. */
const DAWDLE = 100;
const BACKLOG_WITHIN = 4000;

/** Faults of the broker, and what it does to its clients. */
export const BROKER_FAULTS = {
  restart: {
    title: 'broker app restarted',
    limit: 400,
    async act({ broker }) {
      const began = monotonic();
      await broker.stopApp();
      const [over] = await Promise.all([firstWord(broker.url), broker.startApp()]);
      return { began, over };
    },
  },
  killed: {
    title: 'broker process killed (SIGKILL)',
    // It is down for about ten seconds, and delays grow to about a fifth of that.
    limit: 2000,
    async act({ broker }) {
      const began = monotonic();
      await broker.kill();
      const [over] = await Promise.all([firstWord(broker.url), broker.start()]);
      return { began, over };
    },
  },
  closed: {
    title: "broker closes the producer's connection",
    limit: 100,
    async act({ broker, proxy, names }) {
      const said = heard(proxy, 'connection.close');
      await broker.closeConnection(names.producer);
      const at = await said;
      return { began: at, over: at };
    },
  },
  alarm: {
    title: `memory alarm for ${ALARM_FOR / 1000} s`,
    limit: 400,
    async act({ broker, proxy, client, ledger, note, complain }) {
      await client.ask({ do: 'dawdle', ms: DAWDLE });
      await pause(BACKLOG_WITHIN);
      await broker.memoryAlarm(true);
      const began = monotonic();
      await pause(ALARM_FOR);
      const consumed = ledger.receivedBetween(began, began + ALARM_FOR);
      note(`${consumed} consumed meanwhile`);
      // More than the prefetch, which is only possible if acks get through.
      if (consumed < 300) complain('consuming stood still');
      await client.ask({ do: 'dawdle', ms: 0 });
      const said = heard(proxy, 'connection.unblocked', 5000);
      await broker.memoryAlarm(false);
      return { began, over: await said };
    },
  },
} as const satisfies Record<string, Fault>;
