import { FakeInstanceQueue } from 'instance-queue/testing';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkCommand, topologyCommand } from '../../../lib/cli/inspect-commands';
import { closeAll, closing } from '../../support/closing';
import { runOver, type RunOptions } from '../../support/surroundings';

afterEach(closeAll);

describe('topology diff', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'topology-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const TOPOLOGY = {
    exchanges: [{ name: 'events', type: 'topic' }],
    queues: [{ name: 'orders' }],
  } as const;

  async function diff(content: string, { name = 'a.json', ...options }: RunOptions & { name?: string } = {}) {
    const queue = closing(new FakeInstanceQueue());
    await queue.admin.declare(TOPOLOGY);
    writeFileSync(join(folder, name), content);
    const management = 'http://127.0.0.1:1';
    return runOver(queue, topologyCommand, ['diff', join(folder, name)], { management, ...options });
  }

  it('is done where everything is as it should be', async () => {
    const { code, out, err } = await diff(JSON.stringify(TOPOLOGY));
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^same {6}exchange events\nsame {6}queue {4}orders\n/);
  });

  it('is done in part where something differs or is missing, and says what', async () => {
    const queues = [{ name: 'orders', arguments: { 'x-max-length': 5 } }, { name: 'others' }];
    const { code, out } = await diff(JSON.stringify({ queues }));
    expect(code).toBe(7);
    expect(out).toMatch(/^different queue {4}orders\n {12}.*x-max-length.*\nmissing {3}queue {4}others\n/);
    const { code: same, out: json } = await diff(JSON.stringify({ queues }), { json: true });
    expect(same).toBe(7);
    expect(JSON.parse(json)).toMatchObject({ same: false, compared: [{ state: 'different' }, { state: 'missing' }] });
  });

  it('tells what is unknown apart from what is the same', async () => {
    const bindings = [{ exchange: 'events', queue: 'orders', routingKey: '#' }];
    const { code, out } = await diff(JSON.stringify({ ...TOPOLOGY, bindings }), { json: true });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      same: true,
      unknown: 1,
      compared: [{ state: 'same' }, { state: 'same' }, { state: 'unknown' }],
    });
    expect(await diff(JSON.stringify({ ...TOPOLOGY, bindings }))).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\nunknown {3}binding {2}events → orders \(#\)\n/) as unknown,
      err: '1 of 3 could not be compared\n',
    });
  });

  it('reads a file that begins with a byte order mark', async () => {
    expect(await diff(`\ufeff${JSON.stringify(TOPOLOGY)}`)).toMatchObject({ code: 0, err: '' });
  });

  it('refuses a file that is no JSON with its name', async () => {
    const { code, out, err } = await diff('{', { name: 'bad.json' });
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(`error: ${join(folder, 'bad.json')}: `);
  });
});

describe('check', () => {
  const check = (url: string, options: RunOptions = {}, ...args: string[]) =>
    runOver(closing(new FakeInstanceQueue()), checkCommand, args, { url, ...options });

  it('says at which step a connection failed, and ends there', async () => {
    const { code, out, err } = await check('amqp://shop:geheim@127.0.0.1:1/orders');
    expect([code, err]).toEqual([3, '']);
    expect(out).toMatch(/^dns {7}ok {6}127\.0\.0\.1 is 127\.0\.0\.1\ntcp {7}FAILED {2}.*127\.0\.0\.1:1.*\n$/);
    expect(out).not.toContain('geheim');
  });

  it('is one document of JSON with --json', async () => {
    const { code, out } = await check('amqp://shop:geheim@127.0.0.1:1/orders', { json: true });
    expect(code).toBe(3);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      exitCode: 3,
      steps: [
        { name: 'dns', status: 'ok', text: '127.0.0.1 is 127.0.0.1' },
        { name: 'tcp', status: 'failed', text: expect.stringContaining('127.0.0.1:1') as unknown },
      ],
    });
  });

  it.each([['http://shop:geheim@localhost'], ['shop:geheim@localhost']])(
    'refuses what is no URL of a broker: %s',
    async (url) => {
      const { code, out, err } = await check(url);
      expect([code, out]).toEqual([2, '']);
      expect(err).toMatch(/^error: /);
      expect(err).not.toContain('geheim');
    },
  );
});
