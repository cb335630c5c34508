import { FaultProxy } from 'instance-queue/testing';
import { freePort } from '../../../compose/ports';
import { privateBroker, sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { startChild, type Child, type Ended } from '../../support/child';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { bodies } from '../../support/brokers/messages';

const { url } = sharedBroker();
let side: Bystander;
let queue: string;
beforeEach(async () => {
  side = closing(await Bystander.at(url));
  queue = await side.declareQueue();
});
afterEach(closeAll);

const demo = (name: 'consumer' | 'producer', at = url): Child =>
  startChild(`demo/${name}.ts`, ['--url', at, '--queue', queue]);
/** The numbers in the lines that say this. */
const numbers = (output: string, said: RegExp): number[] => [...output.matchAll(said)].map(([, n]) => Number(n));

async function stopped(child: Child, signal: NodeJS.Signals): Promise<Ended> {
  child.signal(signal);
  const ended = await child.ended;
  expect({ ...ended, stdout: '' }).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(ended.lingered).toBeLessThan(1000);
  return ended;
}

describe.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])('%s', (signal) => {
  it('ends the consuming demo with each message either received or still at the broker', async () => {
    const total = 20_000;
    await side.put(queue, ...Array.from({ length: total }, (_, n) => ({ n })));
    const child = demo('consumer');
    await child.says(/received 100\b/);
    const { stdout } = await stopped(child, signal);
    const received = numbers(stdout, /received (\d+)\b/g);
    expect(stdout).not.toContain('again');
    expect(stdout).toContain('closed, 0 messages left unsettled');
    const { length } = received;
    expect(received).toEqual(Array.from({ length }, (_, n) => n));
    // In the middle of it, or it says little.
    expect(length).toBeLessThan(total);
    expect((await side.count(queue)).ready).toBe(total - length);
    expect(await side.take(queue)).toMatchObject({ body: { n: length } });
  });

  it('ends the producing demo with each message confirmed, also what was in flight', async () => {
    const proxy = await FaultProxy.before(url);
    const child = demo('producer', proxy.url(url));
    await child.says('confirmed 0');
    proxy.hold('toClient');
    await child.says('sending 1');
    child.signal(signal);
    await child.says('closing');
    proxy.release();
    const { code, stdout } = await child.ended;
    expect(code).toBe(0);
    const sent = numbers(stdout, /sending (\d+),/g);
    expect(numbers(stdout, /confirmed (\d+) at/g)).toEqual(sent);
    expect(stdout).toContain('closed, 0 messages left unconfirmed');
    expect(bodies(await side.takeAll(queue))).toEqual(sent.map((n) => ({ n })));
    await proxy.close();
  });

  it('ends the consuming demo while there is no broker', async () => {
    const child = demo('consumer', `amqp://127.0.0.1:${await freePort()}`);
    await child.says('next attempt');
    await stopped(child, signal);
  });
});

describe('the consuming demo, refused by the broker', () => {
  const own = privateBroker();
  const user = uniqueName('user');
  const path = new URL(own.url);
  Object.assign(path, { username: user, password: 'secret' });
  beforeAll(async () => {
    await own.ctl('add_user', user, 'secret');
    await own.ctl('set_permissions', user, 'nothing', 'nothing', 'nothing');
  });
  afterAll(() => own.ctl('delete_user', user));

  it('attaches once somebody has mended it', async () => {
    const child = demo('consumer', path.href);
    await child.says('403');
    await own.ctl('set_permissions', user, '.*', '.*', '.*');
    await child.says('attached to');
    await stopped(child, 'SIGTERM');
    await own.ctl('set_permissions', user, 'nothing', 'nothing', 'nothing');
  });

  it('ends when it is told to', async () => {
    const child = demo('consumer', path.href);
    await child.says('403');
    await stopped(child, 'SIGTERM');
  });
});
