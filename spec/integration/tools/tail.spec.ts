import { InstanceQueue, OptionsError } from 'instance-queue';
import { tail, type TailOptions } from 'instance-queue/tools';
import { createServer } from 'node:http';
import { lastValueFrom } from 'rxjs';
import { startBroker, type Broker } from '../../../compose/broker';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';
import { collect } from '../../support/collect';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection } from '../../support/waiting';

let broker: Broker;
beforeAll(async () => {
  broker = await startBroker({
    private: true,
    plugins: ['rabbitmq_random_exchange', 'rabbitmq_consistent_hash_exchange', 'rabbitmq_sharding'],
    say: (line) => process.stderr.write(`broker with exchanges of other types: ${line}\n`),
  });
});
afterEach(closeAll);
afterAll(() => broker.stop());

/** A queue that is bound to an exchange of this type. */
async function bound(type: string) {
  const queue = closing(new InstanceQueue({ url: broker.url, logger: 'silent' }));
  const [exchange, name] = [uniqueName('exchange'), uniqueName()];
  await queue.admin.declare({
    exchanges: [{ name: exchange, type }],
    queues: [{ name }],
    bindings: [{ exchange, queue: name, routingKey: '1' }],
  });
  return { queue, exchange, name };
}

/** What the management API says of the one binding of a queue; a real one would need a port of its own. */
async function managementOf(source: string, destination: string): Promise<{ readonly url: string }> {
  const binding = { source, destination, destination_type: 'queue', routing_key: '1', arguments: {} };
  const server = createServer(({ url = '' }, response) => {
    response.end(JSON.stringify(url.endsWith('/bindings') ? [binding] : { type: 'classic' }));
  });
  return { url: await listening(server) };
}

it.each(['x-random', 'x-consistent-hash', 'x-modulus-hash'])(
  'an exchange of the type %s is not followed: it would give messages to the tail, and not to the queues bound to it',
  async (type) => {
    const { queue, exchange, name } = await bound(type);
    const tails: TailOptions[] = [
      { exchange, keys: ['1'] },
      { queue: name, management: await managementOf(exchange, name) },
    ];
    for (const options of tails) {
      const error = await rejection(lastValueFrom(tail(queue, options)));
      expect(error).toBeInstanceOf(OptionsError);
      expect(String(error)).toContain(`\`${type}\``);
    }
    for (let i = 0; i < 20; i++) await queue.send({ exchange, routingKey: String(i), body: i });
    expect(await queue.admin.inspect(name)).toMatchObject({ messages: 20 });
  },
);

it.each(['direct', 'fanout', 'topic', 'headers'])('an exchange of the type %s gives the tail a copy', async (type) => {
  const { queue, exchange, name } = await bound(type);
  const seen = collect(tail(queue, { exchange, keys: ['1'] }));
  await eventually(async () => {
    await queue.send({ exchange, routingKey: '1', body: 1 });
    return seen.values.length > 0;
  });
  expect((await queue.admin.inspect(name))!.messages).toBeGreaterThanOrEqual(seen.values.length);
  seen.subscription.unsubscribe();
});
