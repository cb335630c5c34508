import { pino } from 'pino';
import { firstValueFrom, from } from 'rxjs';
import { type InstanceQueue, OptionsError, PublishError, handle, type InstanceQueueOptions } from 'instance-queue';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { publishError } from '../../support/publish-error';
import { uniqueName } from '../../support/unique-name';
import { eventually } from '../../support/waiting';

const given = rabbitmqFixture();
let orders: string;
let events: string;
let lines: Record<string, unknown>[];
beforeEach(() => {
  orders = given.bystander.deletesQueue(uniqueName('orders'));
  events = given.bystander.deletesExchange(uniqueName('events'));
  lines = [];
});

/** A client whose topology declares `orders` and `events`. */
function declaringClient(options: Omit<InstanceQueueOptions, 'url'> = {}): InstanceQueue {
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const topology = {
    exchanges: [{ name: events, type: 'topic' }],
    queues: [{ name: orders }],
    bindings: [{ exchange: events, routingKey: 'order.*', queue: orders }],
  };
  const logger = pino({ level: 'warn', base: null }, { write });
  return given.newClient({ topology, logger, ...options });
}
const strictClient = (): InstanceQueue => declaringClient({ names: 'declared' });
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
  it.each<[string, (client: InstanceQueue, name: string) => Promise<unknown>]>([
    ['send', (client, name) => client.send({ queue: name, body: 1 })],
    ['publish', (client, name) => firstValueFrom(client.publish([{ queue: name, body: 1 }]))],
    [
      'publish, as an operator',
      (client, name) => firstValueFrom(from([{ queue: name, body: 1 }]).pipe(client.publish())),
    ],
    ['a producer of its own', (client, name) => client.producer().send({ queue: name, body: 1 })],
    ['request', (client, name) => client.request({ queue: name, body: 1 })],
  ])('%s refuses a queue that is not declared anywhere, and does not declare it', async (_how, send) => {
    const name = misspelt(orders);
    const error = await publishError(send(strictClient(), name));
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', maybeDelivered: false });
    expect(error.message).toContain(`\`${name}\``);
    expect(error.message).toContain(`Did you mean \`${orders}\`?`);
    expect(await given.bystander.hasQueue(name)).toBe(false);
  });

  it.each<[string, (client: InstanceQueue, name: string) => Promise<unknown>]>([
    ['send', (client, name) => client.send({ exchange: name, body: 1 })],
    ['request', (client, name) => client.request({ exchange: name, body: 1 })],
  ])('%s refuses an exchange that is not declared anywhere', async (_how, send) => {
    const error = await publishError(send(strictClient(), misspelt(events)));
    expect(error).toBeInstanceOf(PublishError);
    expect(error.code).toBe('PUBLISH_INVALID');
    expect(error.message).toContain(`Did you mean \`${events}\`?`);
  });

  it.each<[string, string, (client: InstanceQueue, name: string) => unknown]>([
    ['consume', 'queue', (client, name) => client.consume({ queue: name })],
    ['consume without declaring', 'queue', (client, name) => client.consume({ queue: name, declare: false })],
    ['consumer', 'queue', (client, name) => client.consumer({ queue: name })],
    ['respond', 'queue', (client, name) => client.respond({ queue: name }, () => 1)],
    ['retry', 'then', (client, name) => client.retry({ attempts: 2, delay: 1, then: { queue: name } })],
    [
      'the dead letters of a spec',
      'queue.deadLetter',
      (client, name) => client.consume({ queue: { name: uniqueName(), deadLetter: { queue: name } } }),
    ],
    [
      'the bindings of a consumer',
      'topology.bindings[0].queue',
      (client, name) => client.consume({ queue: orders, topology: { bindings: [{ exchange: events, queue: name }] } }),
    ],
    [
      'the topology of a producer',
      'topology.queues[0].deadLetter',
      (client, name) =>
        client.producer({ topology: { queues: [{ name: uniqueName(), deadLetter: { queue: name } }] } }),
    ],
    [
      'the topology of the queue',
      'topology.bindings[0].queue',
      (_client, name) =>
        declaringClient({
          names: 'declared',
          topology: { queues: [{ name: orders }], bindings: [{ exchange: 'amq.topic', queue: name }] },
        }),
    ],
  ])('%s refuses a queue that is not declared anywhere', (_what, option, use) => {
    const client = strictClient();
    const error = thrown(() => use(client, misspelt(orders)));
    expect(error).toBeInstanceOf(OptionsError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(`Did you mean \`${orders}\`?`) as string });
  });

  it('declared names can be used, even those that a consumer or a producer declares', async () => {
    const client = strictClient();
    await client.send({ queue: orders, body: 1 });
    await client.send({ exchange: events, routingKey: 'order.new', body: 2 });
    await client.send({ exchange: 'amq.direct', routingKey: 'none', body: 3, mandatory: false });
    const [mine, theirs] = [given.bystander.freeQueueName(), given.bystander.freeQueueName()];
    client.consume({ queue: { name: mine } }).subscribe();
    await client.send({ queue: mine, body: 4 });
    client.producer({ topology: { queues: [{ name: theirs }] } });
    await client.send({ queue: theirs, body: 5 });
    client.consume({ queue: '' }).subscribe();
    await eventually(() => client.health.consumers.every(({ status }) => status === 'attached'));
  });

  it('the default exchange routes to a queue that is declared elsewhere, and declares none', async () => {
    const theirs = await given.bystander.declareQueue();
    const client = strictClient();
    await client.send({ exchange: '', routingKey: theirs, body: 1 });
    expect(await publishError(client.send({ exchange: '', routingKey: misspelt(orders), body: 1 }))).toMatchObject({
      code: 'PUBLISH_RETURNED',
    });
  });

  it('replies and retries, which the library sends itself, are not refused', async () => {
    const { bystander } = given;
    const client = strictClient();
    const replies = await bystander.declareQueue();
    let runs = 0;
    client
      .respond({ queue: orders }, ({ body }) => body, { concurrency: 1 })
      .subscribe({ error: (error: unknown) => lines.push({ error }) });
    expect(await client.request({ queue: orders, body: 'direct' })).toMatchObject({ body: 'direct' });
    await bystander.publishRaw('', orders, [Buffer.from('"named"')], {
      contentType: 'application/json',
      replyTo: replies,
    });
    expect(await eventually(() => bystander.take(replies))).toMatchObject({ body: 'named' });

    const again = bystander.freeQueueName();
    client
      .consume({ queue: { name: again } })
      .pipe(
        handle(
          () => {
            if (++runs < 2) throw new Error('once more');
          },
          { onError: client.retry({ attempts: 2, delay: 0 }) },
        ),
      )
      .subscribe();
    await client.send({ queue: again, body: 1 });
    await eventually(() => runs === 2);
    expect(lines).toEqual([]);
  });
});

describe("with names: 'open', the default", () => {
  it('a misspelt name is used, and logged once as a warning', async () => {
    const client = declaringClient();
    const name = given.bystander.deletesQueue(misspelt(orders));
    await client.send({ queue: name, body: 1 });
    await client.send({ queue: name, body: 2 });
    client.consume({ queue: name }).subscribe();
    await client.send({ queue: orders, body: 3 });
    await client.send({ queue: await given.bystander.declareQueue(), body: 4 });
    expect(lines).toMatchObject([{ level: 40, queue: name, declared: orders }]);
  });

  it('a misspelt name in the topology is logged, too', () => {
    declaringClient({
      topology: { queues: [{ name: orders }], bindings: [{ exchange: 'amq.topic', queue: misspelt(orders) }] },
    });
    expect(lines).toMatchObject([{ queue: misspelt(orders), declared: orders }]);
  });
});
