import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { FaultProxy } from 'instance-queue/testing';
import { freePort } from '../../../compose/ports';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { runChild, startChild } from '../../support/child';
import { closeAll, closing } from '../../support/closing';
import { eventually } from '../../support/waiting';

const broker = sharedBroker();
afterEach(closeAll);

describe('a process that has closed its InstanceQueue exits within a second', () => {
  it.each([
    ['unused', 0, 0],
    ['connecting', 0, 0],
    ['backing off', 0, 0],
    ['with unsent messages', 0, 1],
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

  it('connecting to a broker that never answers', async () => {
    const silent = closing(await FakeBroker.start((client) => client.onMethod('protocol-header', 'ignore')));
    const ended = await runChild('fault/closing/exit.program.ts', ['connecting', silent.url]);
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '', stdout: '{"unsettled":0,"unconfirmed":0}' });
    expect(ended.lingered).toBeLessThan(1000);
  });
});

type Script = (client: FakeClient, number: number) => void;
/** Faults of a broker: the script, when the fault has come, and the report of a close with 10 sends and endless handlers. */
const FAULTS: readonly (readonly [
  what: string,
  script: Script,
  hasCome: (fake: FakeBroker) => unknown,
  report: { readonly unsettled: number; readonly unconfirmed: number },
])[] = [
  [
    'while a consumer attaches',
    (client) => {
      client.onMethod('basic.consume', 'ignore');
      client.onMethod('confirm.select', 'ignore');
    },
    (fake) => hasReceived(fake, 'basic.consume') && hasReceived(fake, 'confirm.select'),
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'during a second connection attempt beside one that hangs',
    (client) => client.onMethod('protocol-header', 'ignore'),
    (fake) => fake.clients.length >= 4,
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'while its channels are opened again',
    (client) => {
      let opened = 0;
      client.onMethod('channel.open', () => ((opened += 1) > 1 ? undefined : 'default'));
      const closed = new Set<number>();
      for (const step of ['basic.consume', 'basic.publish']) {
        client.onMethod(step, (_, channel) => {
          // Only once: a second close of the same channel would close the connection.
          if (!closed.has(channel)) client.closeChannel(channel, 504, 'CHANNEL_ERROR');
          closed.add(channel);
        });
      }
    },
    (fake) => fake.clients.every(({ received }) => received.filter(({ name }) => name === 'channel.open').length > 1),
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'while it is blocked',
    (client) => {
      client.autoConfirm = false;
      client.onMethod('basic.publish', () => client.send(0, 'connection.blocked', { reason: 'low on memory' }));
    },
    (fake) => hasReceived(fake, 'basic.publish'),
    { unsettled: 0, unconfirmed: 10 },
  ],
  [
    'while the broker answers nothing',
    (client) => {
      client.autoConfirm = false;
      client.heartbeats = false;
      for (const step of ['basic.cancel', 'channel.close', 'connection.close']) client.onMethod(step, 'ignore');
      client.onMethod('basic.consume', ({ consumerTag }, channel) => {
        client.send(channel, 'basic.consume-ok', { consumerTag });
        for (const number of [1, 2, 3]) client.deliver(channel, String(consumerTag), number, 'x');
      });
    },
    (fake) => hasReceived(fake, 'basic.publish') && hasReceived(fake, 'basic.consume'),
    { unsettled: 3, unconfirmed: 10 },
  ],
];
const hasReceived = (fake: FakeBroker, name: string): boolean =>
  fake.clients.some(({ received }) => received.some((method) => method.name === name));

describe('a process whose broker has a fault exits within a second of its close', () => {
  it.each(FAULTS)('%s', async (_, script, hasCome, report) => {
    const fake = closing(await FakeBroker.start(script));
    const { ended, lingered } = await closedDuring(fake.url, () => eventually(() => hasCome(fake)));
    expect(ended).toEqual(report);
    expect(lingered).toBeLessThan(1000);
  });

  it.each<[string, (proxy: FaultProxy) => void]>([
    ['while the network swallows everything', (proxy) => proxy.blackHole()],
    ['with a connection that the broker does not read', (proxy) => proxy.stopReading()],
    ['with a half-closed connection', (proxy) => (proxy.refuse(), void proxy.finish())],
  ])('%s', async (_, inflict) => {
    const fake = closing(await FakeBroker.start((client) => (client.autoConfirm = false)));
    const proxy = closing(await FaultProxy.before(fake.url));
    const { ended, lingered } = await closedDuring(proxy.url(fake.url), async () => {
      await eventually(() => hasReceived(fake, 'basic.publish') && hasReceived(fake, 'basic.consume'));
      inflict(proxy);
    });
    expect(ended).toEqual({ unsettled: 0, unconfirmed: 10 });
    expect(lingered).toBeLessThan(1000);
  });
});

/** Runs the program, and lets it close when the fault has come. */
async function closedDuring(url: string, fault: () => Promise<unknown>): Promise<{ ended: unknown; lingered: number }> {
  const child = startChild('spec/fault/closing/exit.program.ts', ['with a fault', url]);
  await child.says('ready');
  await fault();
  child.signal('SIGUSR2');
  const { code, signal, stdout, stderr, lingered } = await child.ended;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  return { ended: JSON.parse(stdout.replace('ready\n', '')) as unknown, lingered };
}
