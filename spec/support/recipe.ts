import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import ts from 'typescript';
import * as library from 'instance-queue';
import * as health from 'instance-queue/health';
import * as testing from 'instance-queue/testing';
import { closing } from './cleanup';
import { root } from './compiler';
import { fences } from './fences';

/** Where a recipe finds what it only declares, or has in other words than the test. */
export interface Surroundings {
  /** The broker it meets, whatever its URL says. */
  readonly url?: string;
  /** What `declare` promises it. */
  readonly declared?: Readonly<Record<string, unknown>>;
  /** Other files of the document, by the names under which it imports them. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/**
 * Runs the one fence of a document that holds `words`, to its end, and yields what it exports. It meets this project's
 * library; each InstanceQueue that it makes is closed behind the test.
 */
export async function recipe<Exports = unknown>(
  path: string,
  words: string,
  { url, declared = {}, files = {} }: Surroundings = {},
): Promise<Exports> {
  const found = fences(readFileSync(join(root, path), 'utf8'), ['ts']).filter(({ code }) => code.includes(words));
  const [fence, another] = found;
  if (!fence || another) throw new Error(`${path} has ${found.length} fences with \`${words}\`.`);
  const { outputText } = ts.transpileModule(fence.code, {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2022,
      experimentalDecorators: true,
    },
  });
  const exports = {} as Exports;
  const given = { require: requiring(url, files), exports, ...declared };
  // `await` at the top is fine: the fence is the body of an asynchronous function.
  const run = compileFunction(`return (async () => {${outputText}\n})();`, Object.keys(given), {
    filename: join(root, `${path}.line-${fence.line}.js`),
    lineOffset: fence.line - 2,
  }) as (...values: unknown[]) => Promise<void>;
  await run(...Object.values(given));
  return exports;
}

const meeting = new Map<string, typeof library.InstanceQueue>();

/** The InstanceQueue of recipes: the library's own, but that it meets this broker and is closed behind the test. */
export function queueMeeting(url: string): typeof library.InstanceQueue {
  const known = meeting.get(url);
  if (known) return known;
  class InstanceQueue extends library.InstanceQueue {
    constructor(target: string | library.InstanceQueueOptions) {
      super({ ...(typeof target === 'string' ? {} : target), url });
      closing(this);
    }
  }
  meeting.set(url, InstanceQueue);
  return InstanceQueue;
}

/** The project's `require`, but for the library, which is the one under test and meets the broker of the test. */
function requiring(url: string | undefined, files: Readonly<Record<string, unknown>>): (name: string) => unknown {
  const require = createRequire(join(root, 'package.json'));
  return (name) => {
    if (name === 'instance-queue') {
      return url === undefined ? library : { ...library, InstanceQueue: queueMeeting(url) };
    }
    if (name === 'instance-queue/health') return health;
    if (name === 'instance-queue/testing') return testing;
    if (name in files) return files[name];
    return require(name) as unknown;
  };
}
