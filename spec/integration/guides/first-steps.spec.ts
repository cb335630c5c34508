import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Subscription } from 'rxjs';
import type { InstanceQueue } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { root } from '../../support/compiler';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { runRecipe } from '../../support/guides/run-recipe';
import { eventually } from '../../support/waiting';

const given = rabbitmqFixture();
const { url } = given;

describe('getting started', () => {
  const GUIDE = 'demo/guides/getting-started.md';
  interface Orders {
    startShipping(queue: InstanceQueue): Subscription;
  }
  const orders = (lines: string[]): Promise<Orders> => {
    const print = (...words: unknown[]): void => void lines.push(words.join(' '));
    return runRecipe<Orders>(GUIDE, '// orders.ts', { declared: { console: { log: print, error: print } } });
  };

  it('the program says when it is connected, ships the orders it sends, and ends at SIGINT', async () => {
    const { bystander } = given;
    for (const name of ['orders', 'shipments']) {
      bystander.deletesQueue(name);
      await bystander.deleteQueue(name);
    }
    const lines: string[] = [];
    const ends: (() => void)[] = [];
    const declared = {
      console: { log: (line: string) => lines.push(line) },
      process: { once: (_signal: string, end: () => void) => ends.push(end) },
    };
    await runRecipe(GUIDE, '// main.ts', { url, declared, files: { './orders.js': await orders(lines) } });
    await eventually(() => lines.includes('order 1 was shipped'));
    expect(lines.slice(0, 2)).toEqual(['connected', 'order 0 was shipped']);
    for (const end of ends) end();
    await eventually(() => lines.includes('closed'));
    expect((await bystander.count('orders')).ready).toBe(0);
  });

  it('its test passes, and an order without an address is rejected', async () => {
    const lines: string[] = [];
    const files = {
      './orders.js': await orders(lines),
      'node:test': { test: (_name: string, run: () => unknown) => run() },
      // Objects of the test's realm are not those of Node's own modules.
      'node:assert/strict': { deepEqual: (actual: unknown, wanted: unknown) => expect(actual).toEqual(wanted) },
    };
    await runRecipe(GUIDE, '// orders.test.ts', { files });
    await eventually(() => lines.includes('order 1 was shipped'));

    const queue = closing(new FakeInstanceQueue());
    files['./orders.js'].startShipping(queue);
    await queue.send({ queue: 'orders', body: { id: 2 } });
    await queue.rest();
    expect(lines.at(-1)).toMatch(/^order 2 was rejected: Error: it has no address/);
  });
});

describe('questions and answers', () => {
  const GUIDE = 'demo/guides/faq.md';
  interface Numbers {
    stuck(queue: InstanceQueue, work: (id: number) => void): Subscription;
    flowing(queue: InstanceQueue, work: (id: number) => void): Subscription;
  }
  const put = async (how: 'stuck' | 'flowing'): Promise<{ got: number[]; queue: FakeInstanceQueue }> => {
    const numbers = await runRecipe<Numbers>(GUIDE, `function ${how}(`);
    const queue = closing(new FakeInstanceQueue({ drainTimeout: 10 }));
    const got: number[] = [];
    numbers[how](queue, (id) => got.push(id));
    for (let id = 0; id < 30; id++) queue.broker.put({ queue: 'numbers', body: id });
    await eventually(() => got.length + queue.broker.messages('numbers').length === 30);
    return { got, queue };
  };

  it('what is not settled stops at the prefetch, as the gauge shows', async () => {
    const { got, queue } = await put('stuck');
    await expect(queue.rest(100)).rejects.toThrow('work on 20 messages');
    expect([got.length, queue.metrics.inFlight]).toEqual([20, 20]);
  });

  it('what is handled goes on', async () => {
    const { got, queue } = await put('flowing');
    await queue.rest();
    expect([got.length, queue.metrics.inFlight]).toEqual([30, 0]);
  });

  it('a handler that remembers messageIds books once, however often the message comes', async () => {
    const { bookOnce } = await runRecipe<{
      bookOnce(
        queue: InstanceQueue,
        database: object,
        book: (amount: number) => Promise<void>,
      ): { subscribe(): unknown };
    }>(GUIDE, 'bookOnce');
    const queue = closing(new FakeInstanceQueue());
    const [ids, booked] = [new Set<string>(), [] as number[]];
    const once = async (id: string, work: () => Promise<void>): Promise<void> => {
      if (ids.has(id)) return;
      ids.add(id);
      await work();
    };
    bookOnce(queue, { once }, (amount) => Promise.resolve(void booked.push(amount))).subscribe();
    queue.broker.put({ queue: 'bookings', body: { amount: 7 }, messageId: 'm-1' });
    queue.broker.put({ queue: 'bookings', body: { amount: 7 }, messageId: 'm-1' });
    await queue.rest();
    expect(booked).toEqual([7]);
  });
});

test('the self-test of the guide to other runtimes gets its message back', async () => {
  const { selfTest } = await runRecipe<{ selfTest(url: string): Promise<string> }>(
    'demo/guides/runtimes.md',
    'selfTest',
    {
      url,
    },
  );
  expect(await selfTest(url)).toBe('it works');
});

describe('a bundle, built as the guide says,', () => {
  const GUIDE = 'demo/guides/bundlers.md';
  type Bundle = (entry: string, outfile: string) => Promise<unknown>;
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'instance-queue-bundle-'));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    // As if it were installed: esbuild follows `paths`.
    const paths = { 'instance-queue': [join(root, 'lib', 'index.ts')] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths } }));
    writeFileSync(
      join(folder, 'main.ts'),
      `import { InstanceQueue } from 'instance-queue';
const queue = new InstanceQueue({ url: process.argv[2]!, logger: 'info' });
void queue.connect().then(() => queue.close()).then(() => console.log('closed'));
`,
    );
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const ran = async (file: string): Promise<string> => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, file), url], { cwd: tmpdir() });
    return stdout;
  };

  it('runs as CommonJS', async () => {
    const { bundle } = await runRecipe<{ bundle: Bundle }>(GUIDE, 'const bundle =');
    await bundle(join(folder, 'main.ts'), join(folder, 'main.cjs'));
    expect(await ran('main.cjs')).toMatch(/"msg":"connected"[\s\S]*closed/);
  });

  it('runs as an ES module', async () => {
    const { bundleAsModule } = await runRecipe<{ bundleAsModule: Bundle }>(GUIDE, 'const bundleAsModule');
    await bundleAsModule(join(folder, 'main.ts'), join(folder, 'main.mjs'));
    expect(await ran('main.mjs')).toMatch(/"msg":"connected"[\s\S]*closed/);
  });
});
