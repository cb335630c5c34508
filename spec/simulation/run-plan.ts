import './socket/own-immediates';
import { Universe } from '../../lib/testing/simulation/universe';
import { World } from '../../lib/testing/simulation/world';
import { SimulatedApp } from './app';
import type { Violation } from './findings';
import { Oracle } from './oracle';
import type { Plan } from './plan';
import { SocketUniverse } from './socket/socket-universe';

export interface Result {
  readonly violations: readonly Violation[];
  /** The same plan always gives the same. */
  readonly trace: string;
  /** ms of simulated time. */
  readonly time: number;
  readonly turns: number;
  readonly timeline: readonly string[];
}

/** ms of simulated time in which everything must have mended after the last fault. */
const CALM_WITHIN = 400_000;
/** ms for which a transfer of dead letters tries to send a letter to a full queue. */
const LETTER_TRIED_FOR = 300_000;
/** ms in which the processes share partitions anew when one has come or left. */
const SHARED = 15_000;
/** ms after which a run is given up. */
const LIMIT = 1_500_000;
/** ms after the close in which the network and the broker come to rest: what waits longer was left behind. */
const AFTERWARDS = 1000;

/** Of several transfers each may wait for the letters of the one before. */
function calmWithin({ letters = [] }: Plan): number {
  const transfers = letters.filter(({ does }) => does === 'replay' || does === 'move').length;
  return CALM_WITHIN + Math.max(0, transfers - 1) * LETTER_TRIED_FOR;
}

/** Channels open again with a backoff of their own. */
async function untilUp({ client }: SimulatedApp, universe: Universe): Promise<void> {
  for (let looks = 0; looks < 60 && client.health.status !== 'up'; looks++) await universe.sleep(500);
}

/** Runs a plan in a world of its own, and judges it. */
export async function runPlan(plan: Plan): Promise<Result> {
  const world = new World(plan.seed);
  const { seed, faults, version, socket } = plan;
  const sockets = socket && new SocketUniverse(world, socket);
  const universe = new Universe(world, seed, { faults, version, ...sockets?.options });
  const oracle = new Oracle(universe, plan);
  const main = async (): Promise<void> => {
    const app = new SimulatedApp(universe, plan, oracle);
    const running = app.run();
    if (plan.closeAt === undefined) {
      const within = calmWithin(plan);
      try {
        await Promise.all([running, universe.calm(within)]);
        await universe.calm(within);
        await untilUp(app, universe);
        const readers = plan.readers ?? [];
        // A reader that is followed by another is paused by the clock of each.
        const pauses = [...plan.consumers, ...readers].flatMap((one) =>
          one.pauses.map(({ at, ms }) => one.at + at + ms),
        );
        const resumes = readers.map(
          ({ at, resumesAt = 0, pauses }) =>
            at + resumesAt + 3000 + Math.max(0, ...pauses.map(({ at, ms }) => at + ms)),
        );
        const delays = plan.producers.map((one) => (one.delays ? one.delays.most + 1000 : 0));
        const retries = plan.consumers.map(({ retry }) =>
          retry ? retry.attempts * Math.max(...retry.delay) + 1000 : 0,
        );
        await universe.sleep(Math.max(0, ...delays) + Math.max(0, ...retries));
        const members = (plan.partitions?.members ?? []).map(({ at, leavesAt = 0 }) => at + leavesAt + SHARED);
        await universe.sleep(Math.max(0, ...members) - universe.now);
        await universe.sleep(Math.max(0, ...pauses, ...resumes) + 5000 - universe.now);
        // A consumer that began or went on meanwhile has had its messages. They may have cut a connection that was to be cut after some.
        await universe.calm(within);
        await untilUp(app, universe);
        oracle.calm(app.client);
        app.partitions?.calm();
        const { resize } = plan.partitions ?? {};
        if (resize !== undefined) {
          await app.partitions?.resize(resize);
          await universe.sleep(SHARED);
          await universe.calm(within);
          app.partitions?.calm();
        }
      } catch (error) {
        oracle.findings.violate('nothing-is-stuck', String(error));
      }
    } else await universe.sleep(plan.closeAt);
    app.end();
    await app.partitions?.end();
    const began = universe.now;
    oracle.findings.note('app: closes');
    oracle.closes();
    const report = await app.client.close();
    oracle.findings.note(
      `app: closed, ${String(report.unsettled)} unsettled, ${String(report.unconfirmed)} unconfirmed`,
    );
    if (universe.now - began > plan.drainTimeout + 6000) {
      oracle.findings.violate('close-keeps-its-deadline', `${String(Math.round(universe.now - began))} ms`);
    }
    await Promise.race([app.settled(), universe.sleep(1000)]);
    await universe.sleep(AFTERWARDS + Math.max(0, universe.faultsOver - universe.now));
    oracle.closed(app.client, world.waiting.length);
    sockets?.judge(oracle.findings);
  };
  const restore = sockets?.replaceNet();
  const judged = (): Promise<void> =>
    main().catch((error: unknown) => {
      oracle.findings.violate('what-the-app-calls-does-not-throw', textOf(error));
    });
  const finished = await world.run(judged, LIMIT).finally(restore);
  if (!finished) oracle.findings.violate('close-resolves', 'the run did not end');
  for (const { kind, error } of world.uncaught) {
    oracle.findings.violate(`no-uncaught-${kind}`, textOf(error));
  }
  const { violations, trace } = oracle.findings;
  return {
    violations,
    trace,
    time: world.now,
    turns: world.turns,
    // Few are ever read.
    get timeline() {
      return universe.timeline;
    },
  };
}

const textOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
