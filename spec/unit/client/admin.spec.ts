import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

const stream = { name: 'log', type: 'stream' } as const;
const given = () => closing(new FakeInstanceQueue({ topology: { queues: [stream] }, drainTimeout: 0 }));

describe('a queue that is known to be a stream', () => {
  it.each([
    ['get()', (admin: FakeInstanceQueue['admin']) => admin.get(stream)],
    ['get()', (admin: FakeInstanceQueue['admin']) => admin.get('log')],
    ['purge()', (admin: FakeInstanceQueue['admin']) => admin.purge(stream)],
    ['purge()', (admin: FakeInstanceQueue['admin']) => admin.purge('log')],
  ])('is refused by %s, by its spec and by its name', async (call, ask) => {
    expect(await rejection(ask(given().admin))).toMatchObject({
      code: 'OPTIONS_INVALID',
      message: `Queue \`log\` is a stream: RabbitMQ closes the connection over \`${call}\` of one. Consume it with an \`offset\`, or delete it.`,
    });
  });
});

describe('a queue whose spec says that it is a stream', () => {
  it('is refused by get() and purge(), though no topology has it', async () => {
    const { admin } = closing(new FakeInstanceQueue());
    for (const ask of [() => admin.get(stream), () => admin.purge(stream)])
      expect(await rejection(ask())).toMatchObject({ code: 'OPTIONS_INVALID', option: 'queue' });
  });
});

describe('the name of a queue or exchange', () => {
  it.each<[string, (admin: FakeInstanceQueue['admin'], name: never) => unknown, string, string]>([
    ['inspect()', (admin, name) => admin.inspect(name), 'queue', 'a queue'],
    ['get()', (admin, name) => admin.get(name), 'queue', 'a queue'],
    ['purge()', (admin, name) => admin.purge(name), 'queue', 'a queue'],
    ['delete() of a queue', (admin, name) => admin.delete({ queue: name }), 'queue', 'a queue'],
    ['delete() of an exchange', (admin, name) => admin.delete({ exchange: name }), 'exchange', 'an exchange'],
  ])('cannot be missing or empty in %s', async (_, ask, option, what) => {
    const { admin } = given();
    for (const wrong of ['', { name: '' }, {}]) {
      const error = await rejection(Promise.resolve().then(() => ask(admin, wrong as never)));
      expect(error).toMatchObject({ code: 'OPTIONS_INVALID' });
      expect((error as Error).message).toMatch(new RegExp(`^Expected \`${option}\` to be the name of ${what}, got `));
    }
  });
});

describe('a connection that is closed', () => {
  it('refuses to look after queues, with the reason', async () => {
    const queue = given();
    const closed = queue.close();
    await later();
    await closed;
    expect(await rejection(queue.admin.inspect('orders'))).toMatchObject({
      code: 'CONNECTION_CLOSED',
      message: 'The connection is closed. Open a new one to go on.',
    });
  });
});
