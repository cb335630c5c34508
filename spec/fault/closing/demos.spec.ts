import { freePort } from '../../../compose/ports';
import { bodies } from '../../support/brokers/messages';
import { privateBroker } from '../../support/brokers/test-brokers';
import { startChild, type Child, type Ended } from '../../support/child';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { uniqueName } from '../../support/unique-name';

const given = consumingFixture();

const demo = (name: 'consumer' | 'producer', url = given.url): Child =>
  startChild(`demo/${name}.ts`, ['--url', url, '--queue', given.queue]);
/** The numbers that this pattern captures in the output. */
const numbersIn = (output: string, pattern: RegExp): number[] =>
  [...output.matchAll(pattern)].map(([, n]) => Number(n));

async function stop(child: Child, signal: NodeJS.Signals): Promise<Ended> {
  child.signal(signal);
  const ended = await child.ended;
  expect({ ...ended, stdout: '' }).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(ended.lingered).toBeLessThan(1000);
  return ended;
}

describe.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])('%s', (signal) => {
  it('ends the consuming demo, with each message either received or still on the broker', async () => {
    const { bystander, queue } = given;
    const total = 20_000;
    await bystander.put(queue, ...Array.from({ length: total }, (_, n) => ({ n })));
    const child = demo('consumer');
    await child.says(/received 100\b/);
    const { stdout } = await stop(child, signal);
    const received = numbersIn(stdout, /received (\d+)\b/g);
    expect(stdout).not.toContain('again');
    expect(stdout).toContain('closed, 0 messages left unsettled');
    const { length } = received;
    expect(received).toEqual(numbers(length));
    // It must end in the middle of the messages to show anything.
    expect(length).toBeLessThan(total);
    expect((await bystander.count(queue)).ready).toBe(total - length);
    expect(await bystander.take(queue)).toMatchObject({ body: { n: length } });
  });

  it('ends the producing demo with every message confirmed, even those in flight', async () => {
    const { url, bystander, proxy, queue } = given;
    const child = demo('producer', proxy.url(url));
    await child.says('confirmed 0');
    proxy.hold('toClient');
    await child.says('sending 1');
    child.signal(signal);
    await child.says('closing');
    proxy.release();
    const { code, stdout } = await child.ended;
    expect(code).toBe(0);
    const sent = numbersIn(stdout, /sending (\d+),/g);
    expect(numbersIn(stdout, /confirmed (\d+) at/g)).toEqual(sent);
    expect(stdout).toContain('closed, 0 messages left unconfirmed');
    expect(bodies(await bystander.takeAll(queue))).toEqual(sent.map((n) => ({ n })));
  });

  it('ends the consuming demo while it has no connection', async () => {
    const child = demo('consumer', `amqp://127.0.0.1:${await freePort()}`);
    await child.says('next attempt');
    await stop(child, signal);
  });
});

describe('the consuming demo without permissions', () => {
  const own = privateBroker();
  const user = uniqueName('user');
  const path = new URL(own.url);
  Object.assign(path, { username: user, password: 'secret' });
  beforeAll(async () => {
    await own.ctl('add_user', user, 'secret');
    await own.ctl('set_permissions', user, 'nothing', 'nothing', 'nothing');
  });
  afterAll(() => own.ctl('delete_user', user));

  it('attaches once it is granted the permissions', async () => {
    const child = demo('consumer', path.href);
    await child.says('403');
    await own.ctl('set_permissions', user, '.*', '.*', '.*');
    await child.says('attached to');
    await stop(child, 'SIGTERM');
    await own.ctl('set_permissions', user, 'nothing', 'nothing', 'nothing');
  });

  it('ends by a signal', async () => {
    const child = demo('consumer', path.href);
    await child.says('403');
    await stop(child, 'SIGTERM');
  });
});
