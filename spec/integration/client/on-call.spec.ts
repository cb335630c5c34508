import { pino } from 'pino';
import { handle, InstanceQueue, json, type InstanceQueueOptions } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { publishError } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

/** What the log says to whoever is woken by it. */
describe('the log, at its level `info`,', () => {
  const broker = privateBroker();
  const { url } = broker;
  let side: Bystander;
  let lines: Record<string, unknown>[];
  beforeEach(async () => {
    side = await Bystander.at(url);
    lines = [];
  });
  afterEach(async () => {
    await closeAll();
    await side.close();
  });

  const told = (msg: string): Record<string, unknown> | undefined => lines.find((line) => line.msg === msg);
  function logged(options: Partial<InstanceQueueOptions> = {}): InstanceQueue {
    const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
    const logger = pino({ level: 'info', base: null }, { write });
    return closing(new InstanceQueue({ url, logger, reconnect: { min: 10, max: 50 }, ...options }));
  }

  it('says who closed a connection and why, how long it was away, and where to read on', async () => {
    const name = uniqueName();
    const queue = logged({ name });
    await queue.connect();
    await broker.closeConnection(`${name}.producer`, 'maintenance');
    await until(queue.state$, ({ producer }) => producer.status === 'connected' && producer.epoch === 2);
    const message = expect.stringContaining('the broker closed it: 320 CONNECTION_FORCED - maintenance') as string;
    const help = expect.stringContaining('errors.html#connection_lost') as string;
    expect(told('connection lost')).toMatchObject({ connection: `${name}.producer`, err: { message, help } });
    const again = lines.find(({ msg, epoch }) => msg === 'connected' && epoch === 2);
    expect(again).toMatchObject({ outage: expect.any(Number) as number });
    expect(lines.find(({ msg, epoch }) => msg === 'connected' && epoch === 1)).not.toHaveProperty('outage');
  });

  it('says that the network dropped a connection', async () => {
    const proxy = closing(await FaultProxy.before(url));
    const queue = logged({ url: proxy.url(url) });
    await queue.connect();
    proxy.cut();
    await eventually(() => told('connection lost') !== undefined);
    const message = expect.stringContaining('dropped it. (ECONNRESET)') as string;
    expect(told('connection lost')).toMatchObject({ err: { message } });
  });

  it('says which message no queue took, and which the broker refused, with their routes', async () => {
    const queue = logged();
    const route = { exchange: 'amq.topic', routingKey: uniqueName() };
    await publishError(queue.send({ ...route, body: 1, messageId: 'm1' }));
    expect(told('message returned: no queue took it')).toMatchObject({ level: 40, messageId: 'm1', ...route });
    const missing = { exchange: uniqueName(), routingKey: 'k' };
    await publishError(queue.send({ ...missing, body: 1, messageId: 'm2' }));
    expect(told('message refused')).toMatchObject({ level: 40, messageId: 'm2', ...missing, err: { replyCode: 404 } });
  });

  it('says of a refused message for a queue that it was for that queue, and not for an exchange without a name', async () => {
    const [user, name] = [uniqueName(), await side.declareQueue()];
    await broker.ctl('add_user', user, 'secret');
    await broker.ctl('set_permissions', '-p', '/', user, '.*', '^$', '.*');
    const target = Object.assign(new URL(url), { username: user, password: 'secret' });
    const queue = logged({ url: target.href });
    const { message } = await publishError(queue.send({ queue: name, body: 1 }));
    await broker.ctl('delete_user', user);
    expect(message).toContain(`The broker refused the message sent to queue \`${name}\`.`);
  });

  it('says which message could not be decoded and what kind of error that was, without its words', async () => {
    const name = await side.declareQueue();
    const parse = (value: unknown): number => {
      throw new TypeError(`not a number: ${JSON.stringify(value)}`);
    };
    logged()
      .consume({ queue: name, codec: json(parse) })
      .subscribe();
    await side.put(name, { pin: 'secret' });
    await eventually(() => told('undecodable message') !== undefined);
    const facts = { queue: name, error: 'TypeError', contentType: 'application/json', bytes: 16, policy: 'reject' };
    expect(told('undecodable message')).toMatchObject(facts);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('says which message was rejected because its work failed, without the words of that error', async () => {
    const name = await side.declareQueue();
    const queue = logged();
    const work = (): never => {
      throw new RangeError('secret');
    };
    queue
      .consume({ queue: name })
      .pipe(handle(work, { onError: 'reject' }))
      .subscribe();
    await queue.send({ queue: name, body: 1, messageId: 'm3' });
    await eventually(() => told('work failed: message rejected') !== undefined);
    const facts = { level: 40, queue: name, messageId: 'm3', deliveryCount: 0, error: 'RangeError' };
    expect(told('work failed: message rejected')).toMatchObject(facts);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('says that a message timed out, and that the broker blocks publishing while it does', async () => {
    const name = await side.declareQueue();
    const queue = logged();
    await queue.send({ queue: name, body: 1 });
    await broker.memoryAlarm(true);
    // Written before the broker says that it blocks: it does so at the next publish.
    const late = publishError(queue.send({ queue: name, body: 1 }, { timeout: 2000 }));
    await until(queue.health$, ({ blocked }) => blocked !== undefined);
    const sent = await late;
    const waiting = await publishError(queue.send({ queue: name, body: 1, messageId: 'm4' }, { timeout: 50 }));
    await broker.memoryAlarm(false);
    expect(sent).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: true });
    expect(sent.message).toContain('the broker may have it, and blocks publishing (low on memory).');
    expect(waiting).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: false });
    expect(waiting.message).toContain('It was not sent; the broker blocks publishing (low on memory).');
    const timedOut = lines.filter(({ msg }) => msg === 'message timed out');
    expect(timedOut.map(({ messageId }) => messageId)).toContain('m4');
  });
});
