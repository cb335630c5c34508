import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { lastValueFrom, take as takeFirst, takeUntil, tap } from 'rxjs';
import { bytes, ChannelError, InstanceQueueError, type OutboundMessage } from '../index';
import { tail, type TailOptions } from '../tools/index';
import { EXIT, UsageError } from './exit-codes';
import { messageJson, printMessage } from './letters';
import { count, pairs, several } from './options';
import type { Running, Session } from './session';
import type { Terminal } from './terminal';

/** The options of `send`. */
interface SendCommandOptions {
  readonly queue?: string;
  readonly exchange?: string;
  readonly key?: string;
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
    .option('--key <key>', 'the routing key for --exchange (default: "")')
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
    .action((options: SendCommandOptions) => running((session) => send(session, options)));
}

async function send({ queue, terminal, signal }: Session, options: SendCommandOptions): Promise<number> {
  const content = await bodyOf(options, terminal, signal);
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

function routeOf({ queue, exchange, key }: SendCommandOptions): {
  readonly exchange: string;
  readonly routingKey: string;
} {
  if ((queue === undefined) === (exchange === undefined)) throw new UsageError('where to? Give --queue or --exchange');
  if (queue !== undefined && key !== undefined)
    throw new UsageError('--key is for --exchange: a queue has no routing key');
  return { exchange: exchange ?? '', routingKey: queue ?? key ?? '' };
}

async function bodyOf({ body, file }: SendCommandOptions, terminal: Terminal, signal: AbortSignal): Promise<Buffer> {
  if ((body === undefined) === (file === undefined)) throw new UsageError('what? Give --body or --file');
  if (body !== undefined) return Buffer.from(body);
  if (file === '-') return terminal.read(signal);
  try {
    return readFileSync(file ?? '');
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

/** The options of `tail`. */
interface TailCommandOptions {
  readonly key?: readonly string[];
  readonly stream?: boolean;
  readonly queue?: boolean;
  readonly from?: string;
  readonly limit?: number;
}

/** `instance-queue tail` */
export function tailCommand(running: Running): Command {
  return new Command('tail')
    .description('follow what is published to an exchange, a queue or a stream, and take nothing away')
    .argument('<name>', 'an exchange, a queue, or with --stream a stream')
    .option(
      '--key <key>',
      'exchange: a binding key or pattern; may be repeated (default: #, that is all; a direct exchange needs one)',
      several,
    )
    .option('--queue', 'the name is that of a queue, also if an exchange has it, too')
    .option('--stream', 'the name is that of a stream')
    .option('--from <offset>', "stream: 'first', 'last', 'next', an offset, or a time such as 1h (default: next)")
    .option('--limit <count>', 'end after this many messages', count)
    .addHelpText(
      'after',
      `
An exchange: a queue of its own gets a copy of what is published with one of the keys. It goes when this ends.
A queue: its bindings are copied, which are read from the management API (--management, or its usual port on the
same host). Messages that are sent straight to the queue, through the default exchange, cannot be copied; look at
those that wait with: instance-queue dead show QUEUE
A stream keeps its messages anyway: it is read.

Examples:
  instance-queue tail events --key 'order.*'
  instance-queue tail orders --json | jq .body
  instance-queue tail audit --stream --from 1h`,
    )
    .action((name: string, options: TailCommandOptions) => running((session) => follow(session, name, options)));
}

async function follow(session: Session, name: string, options: TailCommandOptions): Promise<number> {
  const { terminal, queue } = session;
  const what = await optionsFor(session, name, options);
  terminal.hint(`following ${name}; Ctrl-C ends it`);
  const message$ = tail(queue, what).pipe(
    tap((message) => {
      if (terminal.json) terminal.printJson(messageJson(message));
      else printMessage(terminal, message);
    }),
    takeFirst(options.limit ?? Infinity),
    takeUntil(session.interrupted$),
  );
  await lastValueFrom(message$, { defaultValue: undefined }).catch((error: unknown) => {
    throw explained(error, what);
  });
  return EXIT.done;
}

/** What the name means: an exchange or else a queue. @throws UsageError */
async function optionsFor(
  session: Session,
  name: string,
  { key, stream, queue: isQueue = false, from }: TailCommandOptions,
): Promise<TailOptions> {
  const { queue, management, terminal } = session;
  if (name === '') throw new UsageError('what to follow? Give the name of an exchange, a queue or a stream');
  const unused = (option: string, what: string, is: string): UsageError =>
    new UsageError(`${option} is for ${what}, and \`${name}\` is ${is}`);
  const start = from === undefined ? {} : ({ offset: /^\d+$/.test(from) ? Number(from) : from } as TailOptions);
  if (stream === true) {
    if (isQueue) throw new UsageError('--stream and --queue exclude each other');
    if (key) throw unused('--key', 'an exchange', 'a stream');
    return { stream: name, ...start };
  }
  const isExchange = !isQueue && (await hasExchange(session, name));
  const depth = await queue.admin.inspect(name);
  if (isExchange) {
    if (from !== undefined) throw unused('--from', 'a stream', 'an exchange');
    if (depth)
      terminal.note(`\`${name}\` is an exchange and a queue: following the exchange; --queue follows the queue`);
    return { exchange: name, ...(key && { keys: key }) };
  }
  if (!depth)
    throw new ChannelError(`There is no exchange and no queue \`${name}\` in this virtual host.`, { replyCode: 404 });
  if (key) throw unused('--key', 'an exchange', 'a queue');
  return { queue: name, management, ...start };
}

/** AMQP says nothing about the bindings of a queue: what to do instead. */
function explained(error: unknown, { queue }: TailOptions): unknown {
  if (queue === undefined || error instanceof InstanceQueueError || !(error instanceof Error)) return error;
  return new UsageError(
    `\`${queue}\` is a queue, and AMQP does not tell what is bound to it. Name an exchange instead (tail EXCHANGE --key KEY), add --stream if it is a stream, or give --management URL. ${error.message}`,
  );
}

async function hasExchange({ queue }: Session, name: string): Promise<boolean> {
  try {
    await queue.admin.declare({ exchanges: [{ name, type: 'direct', passive: true }] });
    return true;
  } catch (error) {
    if (error instanceof ChannelError && error.replyCode === 404) return false;
    throw error;
  }
}
