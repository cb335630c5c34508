import { connect } from 'amqplib';
import { setTimeout as pause } from 'node:timers/promises';
import type { Broker } from '../../../compose/broker';
import { FaultProxy } from 'instance-queue/testing';
import { Ledger, type Counts } from '../../../compose/ledger';
import { ClientProcess } from './client-process';
import { monotonic } from './clock';
import type { Fault } from './fault';

/** ms between two messages: 500 a second. */
const EVERY = 2;
/** Seconds. */
const HEARTBEAT = 5;
const PREFETCH = 20;
/** ms without a fault before, between and after the repetitions. */
const PEACE = 1500;
/** ms without a new message after which a client counts as never recovered. */
const PATIENCE = 30_000;
/** ms after which an unsettled publish counts as hung; longer than the default time limit of each client. */
const SETTLE_LIMIT = 35_000;
/** ms without a message after which the remaining confirmed messages count as lost. */
const SILENCE = 3000;

/** The result of one experiment. */
export interface Result extends Counts {
  /** The gap of each repetition, ms; Infinity: no new message arrived. */
  readonly gaps: readonly number[];
  readonly crash?: string;
  readonly notes: readonly string[];
  readonly complaints: readonly string[];
  /** The distinct errors of publishes. */
  readonly failures: readonly string[];
}

/** One client and one fault: a steady flow, the fault, the recovered flow, and the account of every message. */
export async function experiment(broker: Broker, program: string, fault: Fault): Promise<Result> {
  const name = `faults-${process.pid}-${Math.round(monotonic())}`;
  const names = { producer: `${name}.producer`, consumer: `${name}.consumer` };
  const ledger = new Ledger(monotonic);
  const proxy = await FaultProxy.before(broker.url);
  const notes: string[] = [];
  const complaints: string[] = [];
  const gaps: number[] = [];
  let deletedAt: number | undefined;
  const client = await ClientProcess.open(
    program,
    {
      url: proxy.url(broker.url),
      queue: name,
      names,
      heartbeat: HEARTBEAT,
      prefetch: PREFETCH,
      every: EVERY,
      padding: fault.padding ?? 0,
      window: fault.window ?? Number.MAX_SAFE_INTEGER,
    },
    ledger,
  );
  const scene = {
    broker,
    proxy,
    client,
    queue: name,
    names,
    ledger,
    note: (text: string) => void notes.push(text),
    complain: (text: string) => void complaints.push(text),
  };
  try {
    await client.ask({ do: 'start' });
    await arrival(ledger.received(0), client);
    for (let time = 0; time < (fault.times ?? 1); time++) {
      await pause(PEACE);
      const moment = await fault.act(scene);
      deletedAt = moment.deletedAt;
      const arrived = await arrival(ledger.received(moment.began, moment.over), client);
      gaps.push(arrived - moment.over);
      if (arrived === Infinity) break;
      await moment.after?.();
    }
    await pause(PEACE);
    await client.ask({ do: 'stop' });
    await settled(ledger, client);
  } catch (error) {
    // A command without an answer is a crash of the client. Any other error is a bug of the experiment.
    if (client.crash === undefined) throw error;
    gaps.push(Infinity);
  } finally {
    await client.stop();
    await proxy.close();
    await tidy(broker, name);
  }
  return {
    ...ledger.counts(0, ledger.next, deletedAt),
    gaps,
    ...(client.crash !== undefined && { crash: client.crash }),
    notes,
    complaints,
    failures: [...new Set(ledger.failures.map((failure) => failure.replace(/\d{2,}|[0-9a-f]{8}-[-0-9a-f]+/g, '…')))],
  };
}

/** The time at which the message arrived; Infinity: never. */
async function arrival(received: Promise<number>, client: ClientProcess): Promise<number> {
  const tooLate = new AbortController();
  try {
    return await Promise.race([
      received,
      client.ended.then(() => Infinity),
      pause(PATIENCE, Infinity, { signal: tooLate.signal }),
    ]);
  } finally {
    tooLate.abort();
  }
}

/** Waits until all messages are confirmed or failed, and the confirmed ones are received or lost. */
async function settled(ledger: Ledger, client: ClientProcess): Promise<void> {
  const deadline = monotonic() + SETTLE_LIMIT;
  while (!ledger.settled && client.crash === undefined && monotonic() < deadline) await pause(50);
  let received = -1;
  while (ledger.counts().lost > 0 && ledger.counts().received > received) {
    received = ledger.counts().received;
    await pause(SILENCE);
  }
}

async function tidy(broker: Broker, queue: string): Promise<void> {
  const connection = await connect(broker.url);
  const channel = await connection.createChannel();
  await channel.deleteQueue(queue);
  await connection.close();
}
