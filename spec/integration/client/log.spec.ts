import { pino } from 'pino';
import { handle, InstanceQueue, json, type InstanceQueueOptions } from 'instance-queue';
import { closing } from '../../support/closing';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { publishError } from '../../support/publish-error';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

/** What the log tells an operator. */
describe('the log at level `info`', () => {
  const given = proxiedFixture({ memoryAlarm: true });
  const { broker, url } = given;
  let lines: Record<string, unknown>[];
  beforeEach(() => {
    lines = [];
  });

  const logged = (msg: string): Record<string, unknown> | undefined => lines.find((line) => line.msg === msg);
  function loggingClient(options: Partial<InstanceQueueOptions> = {}): InstanceQueue {
    const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
    const logger = pino({ level: 'info', base: null }, { write });
    return closing(new InstanceQueue({ url, logger, reconnect: { min: 10, max: 50 }, ...options }));
  }

  it('has who closed a connection and why, how long the outage was, and a link to the documentation', async () => {
    const name = uniqueName();
    const client = loggingClient({ name });
    await client.connect();
    await broker.closeConnection(`${name}.producer`, 'maintenance');
    await until(client.state$, ({ producer }) => producer.status === 'connected' && producer.epoch === 2);
    const message = expect.stringContaining('the broker closed it: 320 CONNECTION_FORCED - maintenance') as string;
    const help = expect.stringContaining('errors.html#connection_lost') as string;
    expect(logged('connection lost')).toMatchObject({ connection: `${name}.producer`, err: { message, help } });
    const again = lines.find(({ msg, epoch }) => msg === 'connected' && epoch === 2);
    expect(again).toMatchObject({ outage: expect.any(Number) as number });
    expect(lines.find(({ msg, epoch }) => msg === 'connected' && epoch === 1)).not.toHaveProperty('outage');
  });

  it('has that the network dropped a connection', async () => {
    const client = loggingClient({ url: given.proxy.url(url) });
    await client.connect();
    given.proxy.cut();
    await eventually(() => logged('connection lost') !== undefined);
    const message = expect.stringContaining('dropped it. (ECONNRESET)') as string;
    expect(logged('connection lost')).toMatchObject({ err: { message } });
  });

  it('has the ids and routes of messages that were returned or refused', async () => {
    const client = loggingClient();
    const route = { exchange: 'amq.topic', routingKey: uniqueName() };
    await publishError(client.send({ ...route, body: 1, messageId: 'm1' }));
    expect(logged('message returned: no queue took it')).toMatchObject({ level: 40, messageId: 'm1', ...route });
    const missing = { exchange: uniqueName(), routingKey: 'k' };
    await publishError(client.send({ ...missing, body: 1, messageId: 'm2' }));
    expect(logged('message refused')).toMatchObject({
      level: 40,
      messageId: 'm2',
      ...missing,
      err: { replyCode: 404 },
    });
  });

  it('has the queue of a refused message that was sent to a queue, not the default exchange', async () => {
    const [user, name] = [uniqueName(), await given.bystander.declareQueue()];
    await broker.ctl('add_user', user, 'secret');
    await broker.ctl('set_permissions', '-p', '/', user, '.*', '^$', '.*');
    const target = Object.assign(new URL(url), { username: user, password: 'secret' });
    const client = loggingClient({ url: target.href });
    const { message } = await publishError(client.send({ queue: name, body: 1 }));
    await broker.ctl('delete_user', user);
    expect(message).toContain(`The broker refused the message sent to queue \`${name}\`.`);
  });

  it('has the facts of a message that could not be decoded and the type of the error, but not its message', async () => {
    const name = await given.bystander.declareQueue();
    const parse = (value: unknown): number => {
      throw new TypeError(`not a number: ${JSON.stringify(value)}`);
    };
    loggingClient()
      .consume({ queue: name, codec: json(parse) })
      .subscribe();
    await given.bystander.put(name, { pin: 'secret' });
    await eventually(() => logged('undecodable message') !== undefined);
    const facts = { queue: name, error: 'TypeError', contentType: 'application/json', bytes: 16, policy: 'reject' };
    expect(logged('undecodable message')).toMatchObject(facts);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('has the id of a message that was rejected because its handler failed, but not the message of that error', async () => {
    const name = await given.bystander.declareQueue();
    const client = loggingClient();
    const work = (): never => {
      throw new RangeError('secret');
    };
    client
      .consume({ queue: name })
      .pipe(handle(work, { onError: 'reject' }))
      .subscribe();
    await client.send({ queue: name, body: 1, messageId: 'm3' });
    await eventually(() => logged('work failed: message rejected') !== undefined);
    const facts = { level: 40, queue: name, messageId: 'm3', deliveryCount: 0, error: 'RangeError' };
    expect(logged('work failed: message rejected')).toMatchObject(facts);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('has that a message timed out, and its error says that the broker blocks publishing', async () => {
    const name = await given.bystander.declareQueue();
    const client = loggingClient();
    await client.send({ queue: name, body: 1 });
    await broker.memoryAlarm(true);
    // This one is written first, because the broker blocks a connection at its next publish.
    const late = publishError(client.send({ queue: name, body: 1 }, { timeout: 2000 }));
    await until(client.health$, ({ blocked }) => blocked !== undefined);
    const sent = await late;
    const waiting = await publishError(client.send({ queue: name, body: 1, messageId: 'm4' }, { timeout: 50 }));
    await broker.memoryAlarm(false);
    expect(sent).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: true });
    expect(sent.message).toContain('the broker may have it, and blocks publishing (low on memory).');
    expect(waiting).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
    expect(waiting.message).toContain('It was not sent; the broker blocks publishing (low on memory).');
    const timedOut = lines.filter(({ msg }) => msg === 'message timed out');
    expect(timedOut.map(({ messageId }) => messageId)).toContain('m4');
  });
});
