import { REPLY_CODES } from '../../errors';

/** What the broker closes a channel over. */
export class Refusal extends Error {
  constructor(
    readonly replyCode: keyof typeof REPLY_CODES,
    sentence: string,
  ) {
    super(`${REPLY_CODES[replyCode].name} - ${sentence}`);
    this.name = 'Refusal';
  }
}

/** As amqplib tells of it: in the promise of what was refused, and in the channel's 'error'. */
export function told({ replyCode, message }: Refusal, operation?: string): Error {
  const what = operation === undefined ? 'Channel closed by server:' : `Operation failed: ${operation};`;
  const name = REPLY_CODES[replyCode].name.replaceAll('_', '-');
  const error = new Error(`${what} ${String(replyCode)} (${name}) with message "${message}"`);
  return Object.assign(error, { code: replyCode });
}

/** As amqplib throws when something is asked of a channel that is closing or closed. */
export function illegalOperation(message: string): Error {
  const error = new Error(message);
  error.name = 'IllegalOperationError';
  return error;
}
