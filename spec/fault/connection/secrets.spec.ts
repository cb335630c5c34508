import { inspect } from 'node:util';
import { pino } from 'pino';
import { InstanceQueue, handle, type LoggerOption } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { rejection, until } from '../../support/waiting';

const broker = privateBroker();
const user = uniqueName('user');
const password = 'correct horse/battery:staple@home';
afterEach(closeAll);

/** As it is, and as a URL has it. */
const secrets = [password, encodeURIComponent(password), password.slice(0, 13), 'body-of-a-message'];

/** Loggers of each kind, and what they write. */
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
    'is in nothing that is logged (%s), emitted, thrown or shown, whatever goes wrong',
    async (_kind, to) => {
      const proxy = await FaultProxy.before(broker.url);
      const url = new URL(proxy.url(broker.url));
      Object.assign(url, { username: user, password: encodeURIComponent(password) });
      const said: string[] = [];
      const say = (what: unknown): void => void said.push(inspect(what, { depth: 10, showHidden: true }));
      const logger = to(said);
      const name = uniqueName();
      const reconnect = { min: 10, max: 30 };
      const queue = closing(
        new InstanceQueue({ url: url.href, name, reconnect, connectTimeout: 300, logger, heartbeat: 1 }),
      );
      queue.state$.subscribe(say);
      queue.health$.subscribe(say);
      queue.on('reconnecting', say).on('connected', say).on('closed', say);
      const spec = { name, expires: 10_000 };
      const consumer = queue.consumer({ queue: spec });
      consumer.state$.subscribe(say);
      consumer.on('lost', ({ queue: of }) => say(of));
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
      say(await rejection(queue.send({ exchange: 'no-such-exchange', body: 1 })));

      const up = (epoch: number): Promise<unknown> =>
        until(queue.state$, ({ producer }) => producer.status === 'connected' && producer.epoch >= epoch);
      proxy.cut();
      await up(2);
      await broker.closeConnection(`${name}.producer`);
      await up(3);
      proxy.refuse();
      proxy.cut();
      await until(queue.state$, ({ producer }) => producer.status === 'reconnecting' && producer.attempt > 2);
      say(await rejection(queue.send({ queue: name, body: 'body-of-a-message' }, { timeout: 50 })));
      await proxy.restore();
      await up(4);
      // A wrong password is one too.
      await broker.ctl('change_password', user, 'another');
      proxy.cut();
      await until(
        queue.state$,
        ({ producer }) => producer.status === 'reconnecting' && producer.cause.replyCode === 403,
      );
      say(queue);
      say(queue.metrics);
      await queue.close({ drainTimeout: 0 });
      say(queue);
      for (const wrong of [
        url.href.replace('amqp:', 'http:'),
        url.href.replace(/:\d+\//, ':99999/'),
        `${url.href}?oops=1`,
      ]) {
        try {
          new InstanceQueue(wrong);
          throw new Error('It was taken.');
        } catch (error) {
          say(error);
        }
      }
      await proxy.close();

      expect(said.length).toBeGreaterThan(40);
      expect(said.join('\n')).toContain('ACCESS_REFUSED');
      for (const secret of secrets) expect(said.filter((line) => line.includes(secret))).toEqual([]);
    },
  );
});
