import { isError, nameOf } from './errors';

/** The headers this library writes into messages of its own making: copies that wait or are moved, and error replies. */
export const OWN = {
  /** Runs of the handler so far. */
  attempts: 'x-instance-queue-attempts',
  /** The queue it failed in: in another queue the count starts over. */
  queue: 'x-instance-queue-queue',
  /** When it failed for the first time, ISO 8601. */
  firstFailed: 'x-instance-queue-first-failed',
  errorName: 'x-instance-queue-error-name',
  errorMessage: 'x-instance-queue-error-message',
  /** Where it was published to before anything failed. */
  exchange: 'x-instance-queue-exchange',
  routingKey: 'x-instance-queue-routing-key',
  /** The broker's `x-death` of that time: the wait queue starts a new one. */
  death: 'x-instance-queue-x-death',
  /** The user who published it: RabbitMQ checks `userId` against whoever publishes the copy. */
  userId: 'x-instance-queue-user-id',
  /** No further attempt was left: it was moved. */
  spent: 'x-instance-queue-spent',
  /** How often it was sent back from a dead-letter queue by hand. */
  replays: 'x-instance-queue-replays',
  /** The broker's `x-death` of a letter that was moved by hand, which only brokers may write. */
  moved: 'x-instance-queue-moved-x-death',
} as const;

/** Characters of an error that go into headers, which have to fit a frame. */
const NAME = 64;
const MESSAGE = 256;

/** Cuts at a code point, never inside a surrogate pair. */
const cut = (text: string, length: number): string =>
  text.length <= length
    ? text
    : `${Array.from(text.slice(0, 2 * length))
        .slice(0, length - 1)
        .join('')}…`;

/** An error as headers: of bounded size, without credentials of URLs. Its stack and its cause stay here. */
export function errorHeaders(error: unknown): Readonly<Record<string, string>> {
  const message = isError(error) ? error.message : typeof error === 'string' ? error : '';
  return {
    [OWN.errorName]: cut(nameOf(error), NAME),
    [OWN.errorMessage]: cut(message.replace(/\/\/[^\s/@]*@/g, '//'), MESSAGE),
  };
}
