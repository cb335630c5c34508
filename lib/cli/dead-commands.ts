import { Command, Option } from 'commander';
import { drop, list, move, replay, show, type DeadOptions } from './dead-actions';
import { count, pairs, period, positive, whole } from './options';
import type { Command as Run } from './session';

/** Adds a command whose work is run with a session. */
export type Running = (run: Run) => Promise<void>;

const ABOUT_LOOKING = `
Looking takes nothing away. The broker delivers the letters and gets them back; they are marked as redelivered. A
classic queue has them in their places again, a quorum queue may have them in another order. On RabbitMQ 4.0 to 4.2 each look at a quorum queue counts towards its delivery limit (20 by
default), and the broker drops letters that reach it: list and show refuse to look from half of it on, and say
what to do. From 4.3 on, on 3.x without a limit, and on classic queues a look costs nothing.`;

const NEXT = `
A usual way through an incident:
  instance-queue dead list orders.dead                          what died of what?
  instance-queue dead show orders.dead --error PriceMissing --limit 1
                                                                one of them, whole
  … mend the consumer, and deploy it …
  instance-queue dead replay orders.dead --error PriceMissing --dry-run
  instance-queue dead replay orders.dead --error PriceMissing --rate 200
  instance-queue dead list orders.dead                          is it empty?`;

function filters(command: Command): Command {
  return command
    .option('--id <id>', 'the letter with this messageId')
    .option('--error <text>', 'the name of the error, or a part of its message')
    .option('--reason <reason>', 'rejected, expired, maxlen, delivery_limit, or failed (moved by retry)')
    .option('--failed-in <queue>', 'failed in this queue')
    .option('--type <type>', 'with this type property')
    .option('--header <name=value>', 'with this header; may be repeated', pairs)
    .option('--text <text>', 'with this text in the body')
    .option('--older-than <time>', 'died at least so long ago: 30s, 15m, 2h, 7d', period)
    .option('--newer-than <time>', 'died at most so long ago', period)
    .addOption(
      new Option(
        '--delivery-limit <count>',
        'the delivery limit of the queue, -1 for none (default: that of the broker)',
      ).argParser(whole),
    );
}

/** `instance-queue dead …` */
export function deadCommand(running: Running): Command {
  const dead = new Command('dead')
    .description('look at dead letters; replay, move or drop them')
    .addHelpText('after', NEXT);

  filters(dead.command('list'))
    .description('what died of what: letters in groups by queue, reason and error')
    .argument('<queue>', 'the dead-letter queue')
    .option('--limit <count>', 'letters to read, the oldest first; all reads the whole queue', count, 1000)
    .addHelpText('after', ABOUT_LOOKING)
    .addHelpText('after', '\nExample:\n  instance-queue dead list orders.dead --newer-than 1h --limit all')
    .action((queue: string, options: DeadOptions) => running((session) => list(session, queue, options)));

  filters(dead.command('show'))
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
    filters(command)
      .argument('<queue>', 'the dead-letter queue')
      .option('--limit <count>', 'letters to read, the oldest first (default: all that are there now)', count)
      .option('--dry-run', 'only count what would be done')
      .option('--rate <count>', 'letters per second at most (default: no limit)', positive)
      .option('--to <queue>', 'into this queue')
      .option('--to-exchange <exchange>', 'to this exchange')
      .option('--key <key>', 'the routing key for --to-exchange', '');

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

  filters(dead.command('drop'))
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
