import { fromEvent, lastValueFrom, takeUntil, tap, type Observable } from 'rxjs';
import type { Route } from '../index';
import {
  deadLetters,
  type DeadLetterGroups,
  type DeadLetterReport,
  type LookOptions,
  type MoveOptions,
  type ReplayOptions,
} from '../tools/index';
import { EXIT, UsageError } from './exit-codes';
import { letterJson, printGroups, printLetter, printReport } from './letters';
import { filterOf, type FilterOptions, filterWords } from './options';
import type { Session } from './session';
import { counted, grouped } from './terminal';

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

export async function list(session: Session, name: string, options: DeadOptions): Promise<number> {
  const { terminal } = session;
  const { limit } = options;
  const bar = terminal.progress('reading');
  const groups$ = deadLetters(session.queue, name).groups(looking(options));
  const total = (look: DeadLetterGroups): number => Math.min(look.found, limit ?? Infinity);
  const look = await last(
    groups$.pipe(
      tap((now) => {
        bar.update(now.read, total(now));
      }),
    ),
    session,
  ).finally(() => {
    bar.stop();
  });
  if (!look) return EXIT.interrupted;
  if (terminal.json) terminal.printJson({ name, ...look });
  else {
    printGroups(terminal, name, look);
    const [group] = look.groups;
    if (group)
      terminal.hint(`\nNext: instance-queue dead show ${name} --limit 1 (one of them, whole), or dead replay --help`);
    if (look.read === 0 && look.found > 0)
      terminal.warn(
        `none of its ${grouped(look.found)} messages came: other consumers have them, or it is a stream (see tail --help)`,
      );
  }
  if (look.highestCount > 0)
    terminal.hint(
      `the most delivered of these letters was delivered ${counted(look.highestCount, 'time')}; see --help`,
    );
  if (look.stopped) terminal.warn('the look ended early at a letter that is near its delivery limit; see --help');
  return EXIT.done;
}

export async function show(session: Session, name: string, options: DeadOptions): Promise<number> {
  const { terminal } = session;
  const { limit } = options;
  let shown = 0;
  const letter$ = deadLetters(session.queue, name).look(looking(options));
  await last(
    letter$.pipe(
      tap((letter) => {
        shown++;
        if (terminal.json) terminal.printJson(letterJson(letter));
        else printLetter(terminal, letter);
      }),
    ),
    session,
  );
  if (shown === 0 && !session.signal.aborted) {
    const among =
      limit === undefined || limit === Infinity
        ? 'in the queue'
        : `among the oldest ${grouped(limit)} (--limit all reads all)`;
    terminal.note(`no letter matches ${among}`);
  }
  return EXIT.done;
}

function looking({ limit, deliveryLimit, ...options }: DeadOptions): LookOptions {
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

/** The route that is named. @throws UsageError if two are */
function routeOf({ to, toExchange, key = '', asPublished }: DeadOptions): Route | undefined {
  if ([to, toExchange, asPublished].filter((place) => place !== undefined).length > 1)
    throw new UsageError('--to, --to-exchange and --as-published exclude each other');
  if (to !== undefined) return { queue: to };
  return toExchange === undefined ? undefined : { exchange: toExchange, routingKey: key };
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
  try {
    // It ends by the signal itself, when what is under way is done.
    await lastValueFrom(
      reports$.pipe(
        tap((now) => {
          latest = now;
          bar.update(now.read, Math.min(now.found, limit));
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
  if (latest?.stopped === 'aborted') return EXIT.interrupted;
  const kept = latest ? Object.values(latest.kept).reduce((sum, one) => sum + one, 0) : 0;
  return kept > 0 || latest?.stopped ? EXIT.partly : EXIT.done;
}

/** The last value; undefined if there was none. Ctrl-C ends it, and gives everything back. */
function last<T>(source: Observable<T>, { signal }: Session): Promise<T | undefined> {
  const ended$ = fromEvent(signal, 'abort');
  return lastValueFrom(source.pipe(takeUntil(ended$)), { defaultValue: undefined });
}
