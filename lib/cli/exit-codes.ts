import { ChannelError, ConnectionError, InstanceQueueError, OptionsError, PublishError } from '../index';

/** The exit codes of the commands. They are stable. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  forbidden: 5,
  missing: 6,
  partly: 7,
  interrupted: 130,
} as const;

export const EXIT_CODES = `Exit codes:
  0    done
  1    failed
  2    used wrongly: an unknown option, a missing argument, a URL or a file that cannot be right
  3    no connection: DNS, TCP, TLS, or no answer
  4    credentials or virtual host refused
  5    a permission is missing
  6    no such queue or exchange, or no queue takes the message
  7    done in part: letters stayed (replay, move), or something differs (topology diff)
  130  interrupted by Ctrl-C`;

/** A command that was used wrongly. */
export class UsageError extends Error {}

/** The exit code for what a command failed with. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof OptionsError) return EXIT.usage;
  if (!(error instanceof InstanceQueueError)) return EXIT.failed;
  const { replyCode, cause } = error;
  if (error instanceof ConnectionError) {
    return replyCode === 403 || replyCode === 530 ? EXIT.refused : EXIT.unreachable;
  }
  if (error instanceof PublishError) {
    if (error.code === 'PUBLISH_INVALID') return EXIT.usage;
    // A message fails with its connection.
    if (cause instanceof ConnectionError) return exitCodeOf(cause);
  }
  if (replyCode === 403) return EXIT.forbidden;
  if ((error instanceof ChannelError && replyCode === 404) || isUnroutable(error)) return EXIT.missing;
  return EXIT.failed;
}

const isUnroutable = (error: Error): boolean =>
  error instanceof PublishError && (error.code === 'PUBLISH_RETURNED' || error.replyCode === 404);
