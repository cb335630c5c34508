import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import { Registry } from 'prom-client';
import ts from 'typescript';
import { InstanceQueue, handle } from 'instance-queue';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { root } from '../../support/compiler';
import { fences } from '../../support/fences';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
afterEach(closeAll);

interface Recipe {
  register(queue: InstanceQueue, registry: Registry): void;
}

/** The recipe as the README has it, run. */
function recipe(): Recipe {
  const found = fences(readFileSync(join(root, 'README.md'), 'utf8'), ['ts']).find(({ code }) =>
    code.includes('prom-client'),
  );
  if (!found) throw new Error('The README has no recipe for prom-client.');
  const { outputText } = ts.transpileModule(found.code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const module = { exports: {} as Recipe };
  const load = compileFunction(outputText, ['module', 'exports', 'require']) as (...parts: unknown[]) => void;
  load(module, module.exports, createRequire(join(root, 'README.md')));
  return module.exports;
}

test('the recipe for Prometheus tells every counter and gauge, as they are when asked', async () => {
  const name = await closing(await Bystander.at(url)).queue();
  const queue = closing(new InstanceQueue(url));
  const registry = new Registry();
  recipe().register(queue, registry);
  const value = async (metric: string): Promise<number | undefined> => {
    const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(`${metric} `));
    return line === undefined ? undefined : Number(line.slice(metric.length + 1));
  };
  expect(await value('instance_queue_sent_total')).toBe(0);
  queue
    .consume({ queue: name })
    .pipe(handle(() => undefined))
    .subscribe();
  for (const body of [1, 2, 3]) await queue.send({ queue: name, body });
  await eventually(() => queue.metrics.acked === 3);
  expect(await value('instance_queue_sent_total')).toBe(3);
  expect(await value('instance_queue_acked_total')).toBe(3);
  expect(await value('instance_queue_in_flight')).toBe(0);
  expect(await value('instance_queue_outbox_queued')).toBe(0);
  expect(await value('instance_queue_up')).toBe(1);
  const { inFlight: _, outbox: __, ...counters } = queue.metrics;
  for (const [counter, count] of Object.entries(counters)) {
    const snake = counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    expect([counter, await value(`instance_queue_${snake}_total`)]).toEqual([counter, count]);
  }
});
