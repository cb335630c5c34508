import { pino } from 'pino';
import { firstValueFrom, from } from 'rxjs';
import { InstanceQueue, OptionsError, PublishError, handle, type InstanceQueueOptions } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let side: Bystander;
let orders: string;
let events: string;
let lines: Record<string, unknown>[];
beforeEach(async () => {
  side = await Bystander.at(url);
  orders = side.deletesQueue(uniqueName('orders'));
  events = side.deletesExchange(uniqueName('events'));
  lines = [];
});
afterEach(async () => {
  await closeAll();
  await side.close();
});

/** A queue whose topology declares `orders` and `events`. */
function declaring(options: Partial<InstanceQueueOptions> = {}): InstanceQueue {
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const topology = {
    exchanges: [{ name: events, type: 'topic' }],
    queues: [{ name: orders }],
    bindings: [{ exchange: events, routingKey: 'order.*', queue: orders }],
  };
  const logger = pino({ level: 'warn', base: null }, { write });
  return closing(new InstanceQueue({ url, topology, logger, ...options }));
}
const strict = (): InstanceQueue => declaring({ names: 'declared' });
const misspelt = (name: string): string => name.replace('s-', '-');

function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("with names: 'declared'", () => {
  it.each<[string, (queue: InstanceQueue, name: string) => Promise<unknown>]>([
    ['send', (queue, name) => queue.send({ queue: name, body: 1 })],
    ['publish', (queue, name) => firstValueFrom(queue.publish([{ queue: name, body: 1 }]))],
    [
      'publish, as an operator',
      (queue, name) => firstValueFrom(from([{ queue: name, body: 1 }]).pipe(queue.publish())),
    ],
    ['a producer of its own', (queue, name) => queue.producer().send({ queue: name, body: 1 })],
    ['request', (queue, name) => queue.request({ queue: name, body: 1 })],
  ])('%s refuses a queue that nothing declares, and none is made', async (_how, send) => {
    const name = misspelt(orders);
    const error = await publishError(send(strict(), name));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false });
    expect(error.message).toContain(`\`${name}\``);
    expect(error.message).toContain(`Did you mean \`${orders}\`?`);
    expect(await side.hasQueue(name)).toBe(false);
  });

  it.each<[string, (queue: InstanceQueue, name: string) => Promise<unknown>]>([
    ['send', (queue, name) => queue.send({ exchange: name, body: 1 })],
    ['request', (queue, name) => queue.request({ exchange: name, body: 1 })],
  ])('%s refuses an exchange that nothing declares', async (_how, send) => {
    const error = await publishError(send(strict(), misspelt(events)));
    expect(error).toBeInstanceOf(PublishError);
    expect(error.code).toBe('PUBLISH_INVALID');
    expect(error.message).toContain(`Did you mean \`${events}\`?`);
  });

  it.each<[string, string, (queue: InstanceQueue, name: string) => unknown]>([
    ['consume', 'queue', (queue, name) => queue.consume({ queue: name })],
    ['consume without declaring', 'queue', (queue, name) => queue.consume({ queue: name, declare: false })],
    ['consumer', 'queue', (queue, name) => queue.consumer({ queue: name })],
    ['respond', 'queue', (queue, name) => queue.respond({ queue: name }, () => 1)],
    ['retry', 'then', (queue, name) => queue.retry({ attempts: 2, delay: 1, then: { queue: name } })],
    [
      'the dead letters of a spec',
      'queue.deadLetter',
      (queue, name) => queue.consume({ queue: { name: uniqueName(), deadLetter: { queue: name } } }),
    ],
    [
      'the bindings of a consumer',
      'topology.bindings[0].queue',
      (queue, name) => queue.consume({ queue: orders, topology: { bindings: [{ exchange: events, queue: name }] } }),
    ],
    [
      'the topology of a producer',
      'topology.queues[0].deadLetter',
      (queue, name) => queue.producer({ topology: { queues: [{ name: uniqueName(), deadLetter: { queue: name } }] } }),
    ],
    [
      'the topology of the queue',
      'topology.bindings[0].queue',
      (_queue, name) =>
        declaring({
          names: 'declared',
          topology: { queues: [{ name: orders }], bindings: [{ exchange: 'amq.topic', queue: name }] },
        }),
    ],
  ])('%s refuses a queue that nothing declares', (_what, option, use) => {
    const queue = strict();
    const error = thrown(() => use(queue, misspelt(orders)));
    expect(error).toBeInstanceOf(OptionsError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(`Did you mean \`${orders}\`?`) as string });
  });

  it('what is declared can be used, also what a consumer or a producer declares for itself', async () => {
    const queue = strict();
    await queue.send({ queue: orders, body: 1 });
    await queue.send({ exchange: events, routingKey: 'order.new', body: 2 });
    await queue.send({ exchange: 'amq.direct', routingKey: 'none', body: 3, mandatory: false });
    const [mine, theirs] = [side.freeQueueName(), side.freeQueueName()];
    queue.consume({ queue: { name: mine } }).subscribe();
    await queue.send({ queue: mine, body: 4 });
    queue.producer({ topology: { queues: [{ name: theirs }] } });
    await queue.send({ queue: theirs, body: 5 });
    queue.consume({ queue: '' }).subscribe();
    await eventually(() => queue.health.consumers.every(({ status }) => status === 'attached'));
  });

  it('the default exchange takes a name that only the other side knows, and makes no queue', async () => {
    const theirs = await side.declareQueue();
    const queue = strict();
    await queue.send({ exchange: '', routingKey: theirs, body: 1 });
    expect(await publishError(queue.send({ exchange: '', routingKey: misspelt(orders), body: 1 }))).toMatchObject({
      code: 'PUBLISH_RETURNED',
    });
  });

  it('what the library sends for itself goes its way: replies, retries', async () => {
    const queue = strict();
    const replies = await side.declareQueue();
    let runs = 0;
    queue
      .respond({ queue: orders }, ({ body }) => body, { concurrency: 1 })
      .subscribe({ error: (error: unknown) => lines.push({ error }) });
    expect(await queue.request({ queue: orders, body: 'direct' })).toMatchObject({ body: 'direct' });
    await side.publishRaw('', orders, [Buffer.from('"named"')], { contentType: 'application/json', replyTo: replies });
    expect(await eventually(() => side.take(replies))).toMatchObject({ body: 'named' });

    const again = side.freeQueueName();
    queue
      .consume({ queue: { name: again } })
      .pipe(
        handle(
          () => {
            if (++runs < 2) throw new Error('once more');
          },
          { onError: queue.retry({ attempts: 2, delay: 0 }) },
        ),
      )
      .subscribe();
    await queue.send({ queue: again, body: 1 });
    await eventually(() => runs === 2);
    expect(lines).toEqual([]);
  });
});

describe("with names: 'open', the default", () => {
  it('a misspelt name is used, and warned of once', async () => {
    const queue = declaring();
    const name = side.deletesQueue(misspelt(orders));
    await queue.send({ queue: name, body: 1 });
    await queue.send({ queue: name, body: 2 });
    queue.consume({ queue: name }).subscribe();
    await queue.send({ queue: orders, body: 3 });
    await queue.send({ queue: await side.declareQueue(), body: 4 });
    expect(lines).toMatchObject([{ level: 40, queue: name, declared: orders }]);
  });

  it('so is one in the topology, when it is given', () => {
    declaring({
      topology: { queues: [{ name: orders }], bindings: [{ exchange: 'amq.topic', queue: misspelt(orders) }] },
    });
    expect(lines).toMatchObject([{ queue: misspelt(orders), declared: orders }]);
  });
});
