/** `instance-queue dead replay`, `move` and `drop`: what takes letters out of their queue. */
import { lastValueFrom, tap, type Observable } from 'rxjs';
import type { Route } from '../index';
import {
  deadLetters,
  type DeadLetterReport,
  type LookOptions,
  type MoveOptions,
  type ReplayOptions,
} from '../tools/index';
import { EXIT, UsageError } from './exit-codes';
import { noneCame, printReport } from './letters';
import { type FilterOptions, filterOf, filterWords } from './options';
import type { Session } from './session';
import { grouped } from './terminal';

/** The options of the commands about dead letters. */
export interface DeadOptions extends FilterOptions {
  readonly limit?: number;
  readonly deliveryLimit?: number;
  readonly rate?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly to?: string;
  readonly toExchange?: string;
  readonly key?: string;
  readonly asPublished?: boolean;
}

/** What is looked at. */
export function looking({ limit, deliveryLimit, ...options }: DeadOptions): LookOptions {
  return {
    where: filterOf(options),
    ...(limit !== undefined && { limit }),
    ...(deliveryLimit !== undefined && { deliveryLimit }),
  };
}

function taking({ signal }: Session, options: DeadOptions): MoveOptions {
  const { rate, dryRun } = options;
  return {
    ...looking(options),
    signal,
    ...(rate !== undefined && { rate }),
    ...(dryRun !== undefined && { dryRun }),
  };
}

/** The route that is named. @throws UsageError if two are, or a part of one */
function routeOf({ to, toExchange, key, asPublished }: DeadOptions): Route | undefined {
  if ([to, toExchange, asPublished].filter((place) => place !== undefined).length > 1)
    throw new UsageError('--to, --to-exchange and --as-published exclude each other');
  if (key !== undefined && toExchange === undefined)
    throw new UsageError('--key is for --to-exchange: a queue has no routing key');
  if (to !== undefined) return { queue: to };
  return toExchange === undefined ? undefined : { exchange: toExchange, routingKey: key ?? '' };
}

export async function replay(session: Session, name: string, options: DeadOptions): Promise<number> {
  const to: ReplayOptions['to'] = routeOf(options) ?? (options.asPublished === true ? 'published' : 'queue');
  const reports$ = deadLetters(session.queue, name).replay({ ...taking(session, options), to });
  return report(session, 'replayed', reports$, options);
}

export async function move(session: Session, name: string, options: DeadOptions): Promise<number> {
  const to = routeOf(options);
  if (!to) throw new UsageError('where to? Give --to QUEUE, or --to-exchange EXCHANGE with --key');
  const place = to.queue ?? `exchange ${to.exchange}`;
  const refused = await refusal(session, name, options, `Move to ${place}`);
  if (refused !== undefined) return refused;
  return report(session, 'moved', deadLetters(session.queue, name).move(to, taking(session, options)), options);
}

export async function drop(session: Session, name: string, options: DeadOptions): Promise<number> {
  const refused = await refusal(session, name, options, 'Drop for good');
  if (refused !== undefined) return refused;
  return report(session, 'dropped', deadLetters(session.queue, name).drop(taking(session, options)), options);
}

/** Asks before letters go. Undefined: yes; else the exit code. @throws UsageError where there is no terminal to ask on */
async function refusal(
  session: Session,
  name: string,
  options: DeadOptions,
  what: string,
): Promise<number | undefined> {
  if (options.yes === true || options.dryRun === true) return undefined;
  const { terminal, queue, signal } = session;
  if (!terminal.asks)
    throw new UsageError('there is no terminal to ask on: add --yes, or --dry-run to see what would be done');
  const depth = await queue.admin.inspect(name);
  const words = filterWords(filterOf(options));
  const which = words === '' ? 'all letters' : `the letters with ${words}`;
  const yes = await terminal.confirm(`${what}: ${which} of ${name} (${grouped(depth?.messages ?? 0)} in all)?`, signal);
  if (yes === true) return undefined;
  terminal.note('nothing was done');
  return yes === undefined ? EXIT.interrupted : EXIT.failed;
}

async function report(
  session: Session,
  what: string,
  reports$: Observable<DeadLetterReport>,
  { dryRun = false, limit = Infinity }: DeadOptions,
): Promise<number> {
  const { terminal } = session;
  const bar = terminal.progress(what);
  let latest: DeadLetterReport | undefined;
  let saidDeclined = false;
  try {
    // It ends by the signal itself, when what is under way is done.
    await lastValueFrom(
      reports$.pipe(
        tap((now) => {
          if (now.declined && !saidDeclined) {
            saidDeclined = true;
            const words = declining(now.declined);
            bar.above(() => {
              terminal.warn(words);
            });
          }
          latest = now;
          bar.update(past(now), Math.min(now.found, limit));
        }),
      ),
    );
  } finally {
    bar.stop();
    if (latest) {
      if (terminal.json) terminal.printJson({ action: what, dryRun, ...latest });
      else printReport(terminal, what, latest, dryRun);
    }
  }
  if (!latest) return EXIT.done;
  const { found, read, stopped } = latest;
  if (stopped === 'aborted') return EXIT.interrupted;
  if (found > 0 && read === 0) terminal.warn(noneCame(found));
  return (found > 0 && read === 0) || keptOf(latest) > 0 || stopped ? EXIT.partly : EXIT.done;
}

/** Said once, when a queue declines letters: until they are given up, nothing else may happen. */
function declining({ target, until }: NonNullable<DeadLetterReport['declined']>): string {
  const minutes = Math.ceil((until.getTime() - Date.now()) / 60_000);
  const clock = until.toTimeString().slice(0, 8);
  return `\`${target}\` does not take letters now (it is full, or has no leader): trying again for up to ${String(minutes)} min, until ${clock}`;
}

const keptOf = ({ kept }: DeadLetterReport): number => Object.values(kept).reduce((sum, count) => sum + count, 0);
/** Letters with which nothing will be done any more: those that were read may still wait for their turn, or their confirm. */
const past = (report: DeadLetterReport): number => report.read - report.matched + report.done + keptOf(report);
