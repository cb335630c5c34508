import { InstanceQueue } from 'instance-queue';
import { compareTopology, tail } from 'instance-queue/tools';
import { createServer } from 'node:http';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Bystander } from '../../support/brokers/bystander';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closing } from '../../support/closing';
import { listening } from '../../support/listening';
import { fixture } from '../../support/fixtures/fixture';
import { eventually, rejection } from '../../support/waiting';

interface Row {
  readonly source_name: string;
  readonly destination_name: string;
  readonly destination_kind: string;
  readonly routing_key: string;
}

/** The part of the management API that is used, with what `rabbitmqctl` says of the same broker. */
async function management(): Promise<{ readonly url: string; readonly asked: string[] }> {
  const broker = privateBroker();
  const asked: string[] = [];
  const bindings = async (fits: (row: Row) => boolean) => {
    const rows = JSON.parse(await broker.ctl('list_bindings', '--quiet', '--formatter', 'json')) as Row[];
    return rows.filter(fits).map((row) => ({
      source: row.source_name,
      vhost: '/',
      destination: row.destination_name,
      destination_type: row.destination_kind,
      routing_key: row.routing_key,
      arguments: {},
      properties_key: row.routing_key,
    }));
  };
  const answer = async (path: string): Promise<unknown> => {
    const [, kind, , encoded = '', list] =
      /^\/api\/(queues|exchanges)\/([^/]+)\/([^/]+)(\/bindings(?:\/source)?)?$/.exec(path) ?? [];
    const name = decodeURIComponent(encoded);
    if (kind === 'queues' && list === undefined) return { name, type: 'classic' };
    return kind === 'queues'
      ? bindings(({ destination_name: queue, destination_kind: what }) => queue === name && what === 'queue')
      : bindings(({ source_name: source }) => source === name);
  };
  const server = createServer((request, response) => {
    asked.push(request.headers.authorization ?? '');
    void answer(request.url ?? '').then((rows) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(rows));
    });
  });
  const url = await listening(server);
  return { url: url.replace('//', '//shop:geheim@'), asked };
}

describe('what AMQP does not tell, and the management API does', () => {
  const given = fixture(async () => {
    const { url } = privateBroker();
    const bystander = closing(await Bystander.at(url));
    const api = await management();
    const [exchange, name] = [bystander.freeExchangeName(), await bystander.declareQueue()];
    await bystander.onChannel(async (channel) => {
      await channel.assertExchange(exchange, 'topic');
      await channel.bindQueue(name, exchange, 'order.*');
    });
    return { bystander, api, exchange, name, queue: closing(new InstanceQueue({ url, logger: 'silent' })) };
  });

  it('bindings are the same, missing, or there in addition', async () => {
    const { queue, api, exchange, name } = given;
    const binding = { exchange, queue: name };
    const compared = await compareTopology(
      queue,
      {
        exchanges: [{ name: exchange, type: 'topic' }],
        queues: [{ name }],
        bindings: [{ ...binding, routingKey: 'invoice.*' }],
      },
      { management: { url: api.url } },
    );
    expect(compared.map(({ kind, name: what, state }) => [kind, what, state])).toEqual([
      ['exchange', exchange, 'same'],
      ['queue', name, 'same'],
      ['binding', `${exchange} → ${name} (invoice.*)`, 'missing'],
      ['binding', `${exchange} → ${name} (order.*)`, 'extra'],
    ]);
    expect(api.asked[0]).toBe(`Basic ${Buffer.from('shop:geheim').toString('base64')}`);
  });

  it('a queue is followed by a copy of its bindings, and keeps its messages', async () => {
    const { queue, api, exchange, name, bystander } = given;
    const first = firstValueFrom(tail(queue, { queue: name, management: { url: api.url } }));
    let seen = false;
    void first.then(() => (seen = true));
    await eventually(async () => {
      await bystander.publish(exchange, 'order.paid', { id: 1 });
      return seen;
    });
    expect(await first).toMatchObject({ exchange, routingKey: 'order.paid', body: Buffer.from('{"id":1}') });
    expect((await bystander.count(name)).ready).toBeGreaterThan(0);
  });

  it('a queue that only the default exchange leads to cannot be followed', async () => {
    const { queue, api, bystander } = given;
    const lonely = await bystander.declareQueue();
    const error = await rejection(lastValueFrom(tail(queue, { queue: lonely, management: { url: api.url } })));
    expect(error).toMatchObject({
      code: 'OPTIONS_INVALID',
      message: expect.stringContaining('default exchange') as unknown,
    });
  });

  it('where it cannot be reached, bindings are unknown, and no error holds its password', async () => {
    const { queue, exchange, name } = given;
    const url = 'http://shop:geheim@127.0.0.1:1';
    const bindings = [{ exchange, queue: name, routingKey: 'order.*' }];
    const [compared] = await compareTopology(queue, { bindings }, { management: { url } });
    expect(compared).toMatchObject({ kind: 'binding', state: 'unknown' });
    const error = await rejection(lastValueFrom(tail(queue, { queue: name, management: { url } })));
    expect(JSON.stringify([compared, String(error)])).not.toContain('geheim');
  });
});

describe('a stream', () => {
  const given = fixture(async () => {
    const { url } = privateBroker();
    return {
      bystander: closing(await Bystander.at(url)),
      queue: closing(new InstanceQueue({ url, logger: 'silent' })),
    };
  });

  it('is followed from where it is told', async () => {
    const { bystander, queue } = given;
    const name = await bystander.declareQueue({ arguments: { 'x-queue-type': 'stream' } });
    await bystander.put(name, 1, 2);
    expect(await firstValueFrom(tail(queue, { stream: name, offset: 'first' }))).toMatchObject({
      body: Buffer.from('1'),
      offset: 0,
    });
  });
});
