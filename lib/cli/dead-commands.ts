import { Command, Option } from 'commander';
import { lastValueFrom, takeUntil, tap, type Observable } from 'rxjs';
import { deadLetters, type DeadLetterGroups } from '../tools/index';
import { type DeadOptions, drop, looking, move, replay } from './dead-transfers';
import { EXIT } from './exit-codes';
import { letterJson, noneCame, printGroups, printLetter } from './letters';
import { count, filterOf, filters, positive, whole } from './options';
import type { Running, Session } from './session';
import { counted, forShell, grouped } from './terminal';

const ABOUT_LOOKING = `
Looking takes nothing away. The broker delivers the letters and gets them back; they are marked as redelivered. A
classic queue has them in their places again, a quorum queue may have them in another order. On RabbitMQ 4.0 to
4.2 each look at a quorum queue counts towards its delivery limit (20 by default), and the broker drops letters
that reach it: list and show refuse to look from half of it on, and say what to do. From 4.3 on, on 3.x without a
limit, and on classic queues a look costs nothing. A queue whose name begins with a dash: dead list -- -name`;

const NEXT = `
A usual way through an incident:
  instance-queue dead list orders.dead                          what died of what?
  instance-queue dead show orders.dead --error PriceMissing --limit 1
                                                                one of them, whole
  … mend the consumer, and deploy it …
  instance-queue dead replay orders.dead --error PriceMissing --dry-run
  instance-queue dead replay orders.dead --error PriceMissing --rate 200
  instance-queue dead list orders.dead                          is it empty?`;

/** Adds the options of every command that looks at letters. */
const looks = (command: Command): Command =>
  filters(command).addOption(
    new Option(
      '--delivery-limit <count>',
      'the delivery limit of the queue, -1 for none (default: that of the broker)',
    ).argParser(whole),
  );

/** `instance-queue dead …` */
export function deadCommand(running: Running): Command {
  const dead = new Command('dead')
    .description('look at dead letters; replay, move or drop them')
    .addHelpText('after', NEXT);

  looks(dead.command('list'))
    .description('what died of what: letters in groups by queue, reason and error')
    .argument('<queue>', 'the dead-letter queue')
    .option('--limit <count>', 'letters to read, the oldest first; all reads the whole queue', count, 1000)
    .addHelpText(
      'after',
      `${ABOUT_LOOKING}\n\nExample:\n  instance-queue dead list orders.dead --newer-than 1h --limit all`,
    )
    .action((queue: string, options: DeadOptions) => running((session) => list(session, queue, options)));

  looks(dead.command('show'))
    .description('the letters themselves: why they died, their properties, headers and bodies')
    .argument('<queue>', 'the dead-letter queue')
    .option('--limit <count>', 'letters to read, the oldest first; all reads the whole queue', count, 10)
    .addHelpText('after', ABOUT_LOOKING)
    .addHelpText(
      'after',
      '\nExamples:\n  instance-queue dead show orders.dead --limit 1\n  instance-queue dead show orders.dead --id 5f0e… --limit all\n  instance-queue dead show orders.dead --limit all --json > letters.ndjson     keep a copy',
    )
    .action((queue: string, options: DeadOptions) => running((session) => show(session, queue, options)));

  const sending = (command: Command): Command =>
    looks(command)
      .argument('<queue>', 'the dead-letter queue')
      .option('--limit <count>', 'letters to read, the oldest first (default: all that are there now)', count)
      .option('--dry-run', 'only count what would be done')
      .option('--rate <count>', 'letters per second at most (default: no limit)', positive)
      .option('--to <queue>', 'into this queue')
      .option('--to-exchange <exchange>', 'to this exchange')
      .option('--key <key>', 'the routing key for --to-exchange (default: "")');

  sending(dead.command('replay'))
    .description('send letters back to be worked on anew, each into the queue where it failed')
    .option('--as-published', 'publish them as they first were, to every queue that is bound there')
    .addHelpText(
      'after',
      `
A letter is removed once the broker has confirmed its copy: if this is interrupted or killed, nothing is lost; a
letter that was just under way may be there twice, with the same messageId. Run it again to go on. Letters that
fail again come back to the end of the queue and are not replayed twice in one run. Attempts begin anew, and the
headers about the failure are taken off.

Examples:
  instance-queue dead replay orders.dead --dry-run
  instance-queue dead replay orders.dead --error PriceMissing --rate 200
  instance-queue dead replay orders.dead --to orders.repair --text '"country":"CH"'`,
    )
    .action((queue: string, options: DeadOptions) => running((session) => replay(session, queue, options)));

  sending(dead.command('move'))
    .description('move letters elsewhere as they are; asks first')
    .option('-y, --yes', 'do not ask; needed where there is no terminal')
    .addHelpText(
      'after',
      `
Needs --to or --to-exchange. Into its own queue, too: that begins the delivery counts of a quorum queue anew.

Example:
  instance-queue dead move orders.dead --older-than 7d --to orders.archive`,
    )
    .action((queue: string, options: DeadOptions) => running((session) => move(session, queue, options)));

  looks(dead.command('drop'))
    .description('remove letters for good; asks first')
    .argument('<queue>', 'the dead-letter queue')
    .option('--limit <count>', 'letters to read, the oldest first (default: all that are there now)', count)
    .option('--dry-run', 'only count what would be dropped')
    .option('-y, --yes', 'do not ask; needed where there is no terminal')
    .addHelpText(
      'after',
      '\nExamples:\n  instance-queue dead show orders.dead --reason expired --limit all --json > kept.ndjson\n  instance-queue dead drop orders.dead --reason expired',
    )
    .action((queue: string, options: DeadOptions) => running((session) => drop(session, queue, options)));

  return dead;
}

async function list(session: Session, name: string, options: DeadOptions): Promise<number> {
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
      terminal.hint(`\nNext: instance-queue dead show ${forShell(name)} (one of them, whole), or dead replay --help`);
    if (look.read === 0 && look.found > 0) terminal.warn(noneCame(look.found));
  }
  const times = counted(look.highestCount, 'time');
  if (look.highestCount > 0) terminal.hint(`the most delivered of these letters was delivered ${times}; see --help`);
  if (look.stopped) terminal.warn('the look ended early at a letter that is near its delivery limit; see --help');
  return EXIT.done;
}

async function show(session: Session, name: string, options: DeadOptions): Promise<number> {
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
    const all = Object.keys(filterOf(options)).length === 0;
    const found = all ? ((await session.queue.admin.inspect(name))?.messages ?? 0) : 0;
    if (found > 0) {
      terminal.warn(noneCame(found));
      return EXIT.done;
    }
    const among =
      limit === undefined || limit === Infinity
        ? 'in the queue'
        : `among the oldest ${grouped(limit)} (--limit all reads all)`;
    terminal.note(`no letter matches ${among}`);
  }
  return EXIT.done;
}

/** The last value; undefined if there was none. Ctrl-C ends it, and gives everything back. */
function last<T>(source: Observable<T>, { interrupted$ }: Session): Promise<T | undefined> {
  return lastValueFrom(source.pipe(takeUntil(interrupted$)), { defaultValue: undefined });
}
