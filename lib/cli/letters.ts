import type { Message } from '../index';
import type { DeadLetter, DeadLetterGroup, DeadLetterGroups, DeadLetterReport } from '../tools/index';
import { ago, counted, grouped, plain, type Terminal } from './terminal';

/** A body as JSON can hold it: text as `body`, anything else as `bodyBase64`. */
function bodyOf({ content }: Message<Buffer>): { readonly body: string } | { readonly bodyBase64: string } {
  const body = content.toString();
  return Buffer.from(body).equals(content) ? { body } : { bodyBase64: content.toString('base64') };
}

/** A message as a line of `--json`. */
export function messageJson(message: Message<Buffer>): object {
  const { exchange, routingKey, redelivered, offset, properties } = message;
  return { exchange, routingKey, redelivered, ...(offset !== undefined && { offset }), properties, ...bodyOf(message) };
}

/** A letter as a line of `--json`. */
export function letterJson(letter: DeadLetter): object {
  const { message, ...facts } = letter;
  return { ...facts, ...messageJson(message) };
}

/** A message for people: where it was published to, its properties, its body. */
export function printMessage(terminal: Terminal, message: Message<Buffer>, head?: string): void {
  const { exchange, routingKey, content, properties } = message;
  const { headers = {}, ...others } = properties;
  const route = `${exchange === '' ? '(default exchange)' : exchange} → ${routingKey}`;
  terminal.print(terminal.bold(plain(head ?? `${properties.messageId ?? '(no id)'}  ${route}`)));
  for (const [name, value] of Object.entries(others)) terminal.print(`  ${name}: ${shown(value)}`);
  for (const [name, value] of Object.entries(headers))
    terminal.print(terminal.dim(`  ${plain(name)}: ${shown(value)}`));
  const body = bodyOf(message);
  terminal.print('body' in body ? plain(body.body, true) : `(${String(content.length)} bytes, no text)`);
  terminal.print();
}

const shown = (value: unknown): string => plain(typeof value === 'string' ? value : JSON.stringify(value));

export function printLetter(terminal: Terminal, letter: DeadLetter): void {
  const { messageId, reason, queue, error, diedAt, attempts, replays, message } = letter;
  const facts = [
    messageId ?? '(no id)',
    `${reason}${queue === undefined ? '' : ` in ${queue}`}`,
    ...(error ? [`${error.name}: ${error.message}`] : []),
    ...(diedAt ? [`${ago(diedAt)} ago`] : []),
    ...(attempts > 0 ? [counted(attempts, 'attempt')] : []),
    ...(replays > 0 ? [`replayed ${counted(replays, 'time')}`] : []),
  ];
  printMessage(terminal, message, facts.join(' · '));
}

export function printGroups(terminal: Terminal, name: string, look: DeadLetterGroups): void {
  const { found, read, matched, groups, others } = look;
  const part = read < found ? `, the oldest of ${grouped(found)}` : '';
  terminal.print(`${plain(name)}: ${counted(read, 'letter')} read${part}; ${grouped(matched)} match`);
  if (groups.length === 0) return;
  terminal.print();
  const row = ({
    count,
    queue = '?',
    reason,
    type = '',
    oldest,
    newest,
    example = '',
    error,
  }: DeadLetterGroup): string[] => [
    grouped(count),
    plain(queue),
    plain(reason),
    plain(type),
    ago(oldest),
    ago(newest),
    plain(example),
    error ? plain(`${error.name}: ${error.message}`) : '(no error header)',
  ];
  terminal.table(['COUNT', 'FAILED IN', 'REASON', 'TYPE', 'OLDEST', 'NEWEST', 'EXAMPLE', 'ERROR'], groups.map(row));
  if (others > 0) terminal.print(`and ${counted(others, 'letter')} in further groups`);
}

/** A queue has messages, and none of them is delivered. */
export const noneCame = (found: number): string =>
  `none of its ${counted(found, 'message')} came: other consumers have them, or it is a stream (see tail --help)`;

/** What was done, in a sentence or two. */
export function printReport(terminal: Terminal, what: string, report: DeadLetterReport, dryRun: boolean): void {
  const { done, matched, read, found, kept, targets, problem, stopped } = report;
  const of = read < found ? `; ${grouped(read)} of ${grouped(found)} read` : '';
  terminal.print(`${dryRun ? 'would have been ' : ''}${what}: ${grouped(done)} of ${grouped(matched)} that match${of}`);
  for (const [target, count] of Object.entries(targets)) terminal.print(`  ${grouped(count)} to ${plain(target)}`);
  const stayed = [
    [kept.noOrigin, 'say nothing of where they failed: name a place with --to'],
    [kept.unroutable, 'are for a queue that does not exist'],
    [kept.refused, 'were refused'],
  ] as const;
  for (const [count, why] of stayed)
    if (count > 0) terminal.print(terminal.yellow(`  ${grouped(count)} stayed: they ${why}`));
  if (problem !== undefined) terminal.print(terminal.dim(`  ${plain(problem)}`));
  if (stopped === 'aborted') terminal.print('interrupted: the rest is in its queue, untouched');
  if (stopped === 'delivery-limit')
    terminal.print('ended early at a letter that is near its delivery limit; see --help');
}
