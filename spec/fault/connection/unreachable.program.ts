/** Tries for six seconds to reach a broker that does not exist, with the logger that the argument names, if any. */
import { InstanceQueue, type LoggerOption } from '../../../lib/index';

const loggers: Readonly<Record<string, LoggerOption>> = { silent: 'silent', error: 'error' };
const logger = loggers[process.argv[2] ?? ''];
const queue = new InstanceQueue({ url: 'amqp://alice:s3cret@127.0.0.1:1', ...(logger && { logger }) });
queue.connect().catch(() => undefined);
setTimeout(() => void queue.close(), 6000);
