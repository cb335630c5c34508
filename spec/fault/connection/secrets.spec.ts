import { inspect } from 'node:util';
import { pino } from 'pino';
import { InstanceQueue, handle, type LoggerOption } from 'instance-queue';
import { closing } from '../../support/closing';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { rejection, until } from '../../support/waiting';

const given = proxiedFixture({ private: true });
const { broker } = given;
const user = uniqueName('user');
const password = 'correct horse/battery:staple@home';

/** The password, plain and as in a URL, its beginning, and the body of a message. */
const secrets = [password, encodeURIComponent(password), password.slice(0, 13), 'body-of-a-message'];

/** Loggers of each kind, which write to a list. */
const KINDS: readonly (readonly [string, (to: string[]) => LoggerOption])[] = [
  ['by pino', (to) => pino({ level: 'trace' }, { write: (line: string) => void to.push(line) })],
  [
    'message first',
    (to) => {
      const write = (...args: unknown[]): void => void to.push(inspect(args, { depth: 10, showHidden: true }));
      return { debug: write, info: write, warn: write, error: write };
    },
  ],
  ['by a function', (to) => (entry) => void to.push(JSON.stringify(entry))],
];

describe('the password', () => {
  beforeAll(async () => {
    await broker.ctl('add_user', user, password);
    await broker.ctl('set_permissions', user, '.*', '.*', '.*');
  });
  beforeEach(() => broker.ctl('change_password', user, password));
  afterAll(() => broker.ctl('delete_user', user));

  it.each(KINDS)(
    'is in nothing that is logged (%s), emitted, thrown or inspected, whatever goes wrong',
    async (_kind, to) => {
      const { proxy } = given;
      const url = new URL(proxy.url(broker.url));
      Object.assign(url, { username: user, password: encodeURIComponent(password) });
      const output: string[] = [];
      const record = (what: unknown): void => void output.push(inspect(what, { depth: 10, showHidden: true }));
      const logger = to(output);
      const name = uniqueName();
      const reconnect = { min: 10, max: 30 };
      const queue = closing(
        new InstanceQueue({ url: url.href, name, reconnect, connectTimeout: 300, logger, heartbeat: 1 }),
      );
      queue.state$.subscribe(record);
      queue.health$.subscribe(record);
      queue.on('reconnecting', record).on('connected', record).on('closed', record);
      const spec = { name, expires: 10_000 };
      const consumer = queue.consumer({ queue: spec });
      consumer.state$.subscribe(record);
      consumer.on('lost', ({ queue: of }) => record(of));
      consumer.deliveries$
        .pipe(
          handle(
            () => {
              throw new Error('bad luck');
            },
            { onError: 'reject' },
          ),
        )
        .subscribe();
      await queue.send({ queue: name, body: 'body-of-a-message' });
      record(await rejection(queue.send({ exchange: 'no-such-exchange', body: 1 })));

      const up = (epoch: number): Promise<unknown> =>
        until(queue.state$, ({ producer }) => producer.status === 'connected' && producer.epoch >= epoch);
      proxy.cut();
      await up(2);
      await broker.closeConnection(`${name}.producer`);
      await up(3);
      proxy.refuse();
      proxy.cut();
      await until(queue.state$, ({ producer }) => producer.status === 'reconnecting' && producer.attempt > 2);
      record(await rejection(queue.send({ queue: name, body: 'body-of-a-message' }, { timeout: 50 })));
      await proxy.restore();
      await up(4);
      // A wrong password is a secret, too.
      await broker.ctl('change_password', user, 'another');
      proxy.cut();
      await until(
        queue.state$,
        ({ producer }) => producer.status === 'reconnecting' && producer.cause.replyCode === 403,
      );
      record(queue);
      record(queue.metrics);
      await queue.close({ drainTimeout: 0 });
      record(queue);
      for (const wrong of [
        url.href.replace('amqp:', 'http:'),
        url.href.replace(/:\d+\//, ':99999/'),
        `${url.href}?oops=1`,
      ]) {
        try {
          new InstanceQueue(wrong);
          throw new Error('Expected the URL to be refused.');
        } catch (error) {
          record(error);
        }
      }

      expect(output.length).toBeGreaterThan(40);
      expect(output.join('\n')).toContain('ACCESS_REFUSED');
      for (const secret of secrets) expect(output.filter((line) => line.includes(secret))).toEqual([]);
    },
  );
});
