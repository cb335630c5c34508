import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { FaultProxy } from 'instance-queue/testing';
import { freePort } from '../../../compose/ports';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { runChild, startChild } from '../../support/child';
import { eventually } from '../../support/waiting';

const broker = sharedBroker();

describe('a process that has closed its queue ends by itself within a second', () => {
  it.each([
    ['unused', 0, 0],
    ['connecting', 0, 0],
    ['backing off', 0, 0],
    ['with messages nobody takes', 0, 1],
    ['given up', 0, 0],
    ['idle', 0, 0],
    ['after sending', 0, 0],
    ['busy', 1, 0],
  ])('%s', async (phase, unsettled, unconfirmed) => {
    const dead = `amqp://127.0.0.1:${await freePort()}`;
    const ended = await runChild('fault/closing/exit.program.ts', [phase, broker.url, dead]);
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(JSON.parse(ended.stdout)).toEqual({ unsettled, unconfirmed });
    expect(ended.lingered).toBeLessThan(1000);
  });

  it('connecting to somebody who never answers', async () => {
    const mute = await FakeBroker.start((client) => client.onMethod('protocol-header', 'ignore'));
    const ended = await runChild('fault/closing/exit.program.ts', ['connecting', mute.url]);
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '', stdout: '{"unsettled":0,"unconfirmed":0}' });
    expect(ended.lingered).toBeLessThan(1000);
    await mute.close();
  });
});

type Script = (client: FakeClient, number: number) => void;
/** What is wrong with the broker; when it is; and what a close with 10 messages and a handler that never ends leaves behind. */
const TROUBLES: readonly (readonly [
  what: string,
  script: Script,
  wrong: (fake: FakeBroker) => unknown,
  left: { readonly unsettled: number; readonly unconfirmed: number },
])[] = [
  [
    'attaching',
    (client) => {
      client.onMethod('basic.consume', 'ignore');
      client.onMethod('confirm.select', 'ignore');
    },
    (fake) => asked(fake, 'basic.consume') && asked(fake, 'confirm.select'),
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'dialling a second time, beside a dial that hangs',
    (client) => client.onMethod('protocol-header', 'ignore'),
    (fake) => fake.clients.length >= 4,
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'opening its channels again',
    (client) => {
      let opened = 0;
      client.onMethod('channel.open', () => ((opened += 1) > 1 ? undefined : 'default'));
      const closed = new Set<number>();
      for (const step of ['basic.consume', 'basic.publish']) {
        client.onMethod(step, (_, channel) => {
          // Once: a second close of the same channel would cost the connection.
          if (!closed.has(channel)) client.closeChannel(channel, 504, 'CHANNEL_ERROR');
          closed.add(channel);
        });
      }
    },
    (fake) => fake.clients.every(({ received }) => received.filter(({ name }) => name === 'channel.open').length > 1),
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'blocked',
    (client) => {
      client.autoConfirm = false;
      client.onMethod('basic.publish', () => client.send(0, 'connection.blocked', { reason: 'low on memory' }));
    },
    (fake) => asked(fake, 'basic.publish'),
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'in front of a broker that answers nothing any more',
    (client) => {
      client.autoConfirm = false;
      client.heartbeats = false;
      for (const step of ['basic.cancel', 'channel.close', 'connection.close']) client.onMethod(step, 'ignore');
      client.onMethod('basic.consume', ({ consumerTag }, channel) => {
        client.send(channel, 'basic.consume-ok', { consumerTag });
        for (const number of [1, 2, 3]) client.deliver(channel, String(consumerTag), number, 'x');
      });
    },
    (fake) => asked(fake, 'basic.publish') && asked(fake, 'basic.consume'),
    { unsettled: 3, unconfirmed: 10 },
  ],
];
const asked = (fake: FakeBroker, name: string): boolean =>
  fake.clients.some(({ received }) => received.some((method) => method.name === name));

describe('a process whose broker is in trouble ends by itself within a second of its close', () => {
  it.each(TROUBLES)('%s', async (_, script, wrong, left) => {
    const fake = await FakeBroker.start(script);
    const { ended, lingered } = await closedIn(fake.url, () => eventually(() => wrong(fake)));
    expect(ended).toEqual(left);
    expect(lingered).toBeLessThan(1000);
    await fake.close();
  });

  it.each<[string, (proxy: FaultProxy) => void]>([
    ['in a black hole', (proxy) => proxy.blackHole()],
    ['with a link that nobody reads', (proxy) => proxy.stopReading()],
    ['with a link half-closed', (proxy) => (proxy.refuse(), void proxy.finish())],
  ])('%s', async (_, trouble) => {
    const fake = await FakeBroker.start((client) => (client.autoConfirm = false));
    const proxy = await FaultProxy.before(fake.url);
    const { ended, lingered } = await closedIn(proxy.url(fake.url), async () => {
      await eventually(() => asked(fake, 'basic.publish') && asked(fake, 'basic.consume'));
      trouble(proxy);
    });
    expect(ended).toEqual({ unsettled: 0, unconfirmed: 10 });
    expect(lingered).toBeLessThan(1000);
    await proxy.close();
    await fake.close();
  });
});

/** Runs the program; closes it when the trouble has come. */
async function closedIn(url: string, trouble: () => Promise<unknown>): Promise<{ ended: unknown; lingered: number }> {
  const child = startChild('spec/fault/closing/exit.program.ts', ['troubled', url]);
  await child.says('ready');
  await trouble();
  child.signal('SIGUSR2');
  const { code, signal, stdout, stderr, lingered } = await child.ended;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  return { ended: JSON.parse(stdout.replace('ready\n', '')) as unknown, lingered };
}
