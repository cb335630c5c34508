/** For a run of all tests over amqplib's documented surface alone: `npm run test:no-wire`. */
import { DEFAULTS } from '../../lib/options';

if (process.env['INSTANCE_QUEUE_WIRE'] === 'off') Reflect.set(DEFAULTS, 'wire', false);
