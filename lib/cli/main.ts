/**
 * `npx instance-queue`: a person's way to a broker. It is a user of the library: it imports what users import, and nothing of the
 * library imports it. commander, cli-progress and picocolors are built into it, so that a service does not install them.
 */
import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deadCommand } from './dead-commands';
import { EXIT, EXIT_CODES } from './exit-codes';
import { checkCommand, topologyCommand } from './inspect-commands';
import { sendCommand, tailCommand } from './message-commands';
import { type GlobalOptions, runCommand, type Running } from './session';
import { type Surroundings, whenClosed } from './terminal';

const EXAMPLES = `
Something is wrong, and you do not know what:
  instance-queue check                        can a service connect at all?
  instance-queue dead list orders.dead        what died of what?  (dead --help goes on from there)
  instance-queue topology diff topology.json  is everything declared as it should be?

The broker: --url, or AMQP_URL in the environment. Credentials are never printed.`;

function versionOf(): string {
  const manifest = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

/** Runs the command line. Resolves with the exit code. */
export async function main(args: readonly string[], around: Surroundings, interrupted: AbortSignal): Promise<number> {
  let code: number = EXIT.done;
  // Help and usage are written without a session.
  whenClosed(around, () => undefined);
  const program = new Command('instance-queue');
  const running: Running = async (command) => {
    code = await runCommand(around, program.opts<GlobalOptions>(), interrupted, command);
  };
  program
    .description('Looks after RabbitMQ: dead letters, connections, what is published, topologies.')
    .version(versionOf(), '-V, --version')
    .option('-u, --url <url>', 'the broker (default: AMQP_URL in the environment, or amqp://localhost)')
    .option('--management <url>', 'the management API (default: its usual port on the same host)')
    .option('--json', 'results as JSON on standard output: one document, or one per line')
    .option('--no-color', 'no colours; NO_COLOR in the environment says the same')
    .addHelpText('after', EXAMPLES)
    .addHelpText('after', `\n${EXIT_CODES}`);
  for (const make of [deadCommand, tailCommand, sendCommand, checkCommand, topologyCommand])
    program.addCommand(make(running));
  for (const command of withSubcommands(program)) {
    command
      .exitOverride()
      .showHelpAfterError('(add --help for examples)')
      .configureHelp({ showGlobalOptions: true, helpWidth: 110 })
      .configureOutput({
        writeOut: (text) => around.stdout.write(text),
        writeErr: (text) => around.stderr.write(text),
      });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  return code;
}

const withSubcommands = (command: Command): Command[] => [command, ...command.commands.flatMap(withSubcommands)];
