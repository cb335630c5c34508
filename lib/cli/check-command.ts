import { Command } from 'commander';
import { lastValueFrom, tap, toArray } from 'rxjs';
import { checkConnection, type CheckStep } from '../tools/index';
import { EXIT, exitCodeOf } from './exit-codes';
import type { Running, Session } from './session';
import { plain } from './terminal';

interface Options {
  readonly queue?: string;
  readonly timeout: number;
}

/** `instance-queue check` */
export function checkCommand(running: Running): Command {
  return new Command('check')
    .description('connect as a service would, and explain what is refused')
    .option('--queue <queue>', 'look this queue up, too')
    .option('--timeout <seconds>', 'for each step', Number, 10)
    .addHelpText(
      'after',
      `
Tried, one after the other: DNS, TCP, TLS (with amqps://), AMQP with credentials and virtual host, then the
permissions to configure, write and read, with a queue of its own that is gone afterwards. The exit code says
which kind of thing failed (instance-queue --help lists them).

Examples:
  instance-queue check --url amqps://shop:secret@rabbit.internal/orders
  AMQP_URL=amqp://… instance-queue check --queue orders --json`,
    )
    .action((options: Options) => running((session) => check(session, options)));
}

async function check(session: Session, { queue, timeout }: Options): Promise<number> {
  const { terminal, url } = session;
  const steps$ = checkConnection({ url, timeout: timeout * 1000, ...(queue !== undefined && { queue }) });
  const signs = { ok: terminal.green('ok     '), failed: terminal.red('FAILED '), skipped: terminal.dim('skipped') };
  const steps = await lastValueFrom(
    steps$.pipe(
      tap(({ name, status, text }) => {
        if (!terminal.json) terminal.print(`${name.padEnd(9)} ${signs[status]} ${plain(text)}`);
      }),
      toArray(),
    ),
  );
  const failed = steps.find(({ status }) => status === 'failed');
  const code = failed ? codeOf(failed) : EXIT.done;
  if (failed?.name === 'tls')
    terminal.note('In the URL: ?cacertfile=/path/to/ca.pem gives a CA, &server_name_indication=NAME a host name.');
  if (terminal.json) {
    terminal.printJson({
      ok: !failed,
      exitCode: code,
      steps: steps.map(({ name, status, text }) => ({ name, status, text })),
    });
  }
  return code;
}

function codeOf({ name, error }: CheckStep): number {
  if (name === 'dns' || name === 'tcp' || name === 'tls') return EXIT.unreachable;
  return exitCodeOf(error);
}
