import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { bytes, type OutboundMessage } from '../index';
import { EXIT, UsageError } from './exit-codes';
import { pairs } from './options';
import type { Running, Session } from './session';

interface Options {
  readonly queue?: string;
  readonly exchange?: string;
  readonly key: string;
  readonly body?: string;
  readonly file?: string;
  readonly contentType?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly id?: string;
  readonly type?: string;
}

/** `instance-queue send` */
export function sendCommand(running: Running): Command {
  return new Command('send')
    .description('send one message, and wait until the broker has confirmed it')
    .option('--queue <queue>', 'into this queue, which has to exist')
    .option('--exchange <exchange>', 'to this exchange')
    .option('--key <key>', 'the routing key for --exchange', '')
    .option('--body <text>', 'the body')
    .option('--file <path>', 'the body from a file; - is standard input')
    .option('--content-type <type>', 'default: application/json if the body is JSON, else text/plain')
    .option('--header <name=value>', 'a header; may be repeated', pairs)
    .option('--id <id>', 'the messageId (default: a random UUID)')
    .option('--type <type>', 'the type property')
    .addHelpText(
      'after',
      `
Nothing is declared. A message that no queue takes is refused: exit code 6.

Examples:
  instance-queue send --queue orders --body '{"id":1}'
  instance-queue send --exchange events --key order.paid --file order.json
  echo '{"id":1}' | instance-queue send --queue orders --file -`,
    )
    .action((options: Options) => running((session) => send(session, options)));
}

async function send({ queue, terminal, signal }: Session, options: Options): Promise<number> {
  const content = bodyOf(options);
  const { header, id, type } = options;
  const message = {
    body: content,
    contentType: options.contentType ?? (isJson(content) ? 'application/json' : 'text/plain'),
    ...(header && { headers: header }),
    ...(id !== undefined && { messageId: id }),
    ...(type !== undefined && { type }),
  };
  const producer = queue.producer({ codec: bytes, declare: false });
  const { messageId } = await producer.send({ ...message, ...routeOf(options) } as OutboundMessage<Buffer>, { signal });
  if (terminal.json) terminal.printJson({ messageId });
  else terminal.print(`confirmed: ${messageId}`);
  return EXIT.done;
}

function routeOf({ queue, exchange, key }: Options): { readonly exchange: string; readonly routingKey: string } {
  if ((queue === undefined) === (exchange === undefined)) throw new UsageError('where to? Give --queue or --exchange');
  return { exchange: exchange ?? '', routingKey: queue ?? key };
}

function bodyOf({ body, file }: Options): Buffer {
  if ((body === undefined) === (file === undefined)) throw new UsageError('what? Give --body or --file');
  if (body !== undefined) return Buffer.from(body);
  try {
    // 0: standard input.
    return readFileSync(file === '-' ? 0 : (file ?? ''));
  } catch (error) {
    throw new UsageError(`--file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isJson(content: Buffer): boolean {
  try {
    JSON.parse(content.toString());
    return true;
  } catch {
    return false;
  }
}
