/** Runs all tests on amqplib's documented API alone if `INSTANCE_QUEUE_WIRE` is off: `npm run test:no-wire`. */
import { DEFAULTS } from '../../lib/options';

if (process.env['INSTANCE_QUEUE_WIRE'] === 'off') Reflect.set(DEFAULTS, 'wire', false);
