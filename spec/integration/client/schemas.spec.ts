import { gunzipSync } from 'node:zlib';
import { compressed, json, type ConsumerError, type Delivery } from 'instance-queue';
import { z } from 'zod';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { eventually } from '../../support/waiting';

const given = rabbitmqFixture();
const order = z.object({ id: z.number(), at: z.coerce.date<string>(), note: z.string().default('none') });

describe('a schema', () => {
  it('checks what arrives: the error and the log name the paths, and no value', async () => {
    const { bystander, newClient } = given;
    const queue = await bystander.declareQueue();
    const lines: string[] = [];
    const client = newClient({ logger: (entry) => lines.push(JSON.stringify(entry)) });
    const consumer = closing(client.consumer({ queue, codec: json(order) }));
    const undecodable: ConsumerError[] = [];
    consumer.on('undecodable', (_message, cause) => undecodable.push(cause));
    const { values } = collect(consumer.deliveries$);
    await bystander.put(queue, { id: 'hunter2', at: 'hunter2' });
    await bystander.put(queue, { id: 1, at: '2026-01-02' });
    await eventually(() => values.length === 1);
    expect(values[0]!.body).toEqual({ id: 1, at: new Date('2026-01-02'), note: 'none' });
    expect(undecodable).toHaveLength(1);
    const [cause] = undecodable as [ConsumerError];
    expect(cause.code).toBe('UNDECODABLE');
    expect(cause.message).toMatch(/bytes\)\. The schema \(zod\) refuses the body at `body\.id`, `body\.at`\.$/);
    expect(lines.join()).toContain('`body.id`');
    expect(`${lines.join()}${JSON.stringify(cause)}${String(cause.cause)}`).not.toContain('hunter2');
  });

  it('checks what is sent, before it waits or is written', async () => {
    const { newClient } = given;
    const client = newClient();
    const producer = client.producer({ codec: json(order) });
    const wrong = { id: 'hunter2', at: 'never' } as never;
    await expect(producer.send({ queue: 'unheard-of', body: wrong })).rejects.toMatchObject({
      code: 'PUBLISH_INVALID',
      maybeDelivered: false,
      message: expect.stringContaining('`body.id`, `body.at`') as string,
    });
    expect(producer.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
    // Not even a connection was opened for it.
    expect(client.state.producer.status).toBe('disconnected');
  });

  it('checks requests and replies', async () => {
    const { bystander, newClient } = given;
    const queue = await bystander.declareQueue();
    const client = newClient();
    client.respond({ queue, codec: json(z.number()) }, ({ body }) => `${body}`).subscribe();
    await expect(client.request({ queue, body: 7 }, { codec: json(z.number()) })).rejects.toMatchObject({
      code: 'UNDECODABLE',
      message: expect.stringMatching(/The schema \(zod\) refuses the body at `body`\.$/) as string,
    });
    expect((await client.request({ queue, body: 7 }, { codec: json(z.string()) })).body).toBe('7');
  });
});

describe('compressed', () => {
  it('large bodies travel compressed under their content encoding, small ones as they are', async () => {
    const { bystander, newClient } = given;
    const queue = await bystander.declareQueue();
    const client = newClient();
    const codec = compressed(json(z.array(z.string())), { above: 100 });
    const long = Array.from({ length: 100 }, () => 'again');
    const producer = client.producer({ codec });
    await producer.send({ queue, body: long });
    await producer.send({ queue, body: ['once'] });

    const { values } = collect(client.consume({ queue, codec }));
    await eventually(() => values.length === 2);
    const [first, second] = values as [Delivery<string[]>, Delivery<string[]>];
    expect(first).toMatchObject({
      body: long,
      properties: { contentEncoding: 'gzip', contentType: 'application/json' },
    });
    expect(JSON.parse(gunzipSync(first.content).toString())).toEqual(long);
    expect(second.body).toEqual(['once']);
    expect(second.properties).not.toHaveProperty('contentEncoding');

    // What was received goes out again as it came.
    await producer.send({ queue, ...first.properties, body: first.body });
    await eventually(() => values.length === 3);
    expect(values[2]).toMatchObject({ body: long, properties: { contentEncoding: 'gzip' } });
  });

  it('replies, too', async () => {
    const { bystander, newClient } = given;
    const queue = await bystander.declareQueue();
    const codec = compressed(json<string>(), { above: 10 });
    const client = newClient({ producer: { codec } });
    client.respond({ queue, codec }, ({ body }) => body.repeat(100)).subscribe();
    const reply = await client.request({ queue, body: 'words' }, { codec });
    expect(reply).toMatchObject({ body: 'words'.repeat(100), properties: { contentEncoding: 'gzip' } });
  });
});
