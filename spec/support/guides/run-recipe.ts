import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import ts from 'typescript';
import * as library from 'instance-queue';
import * as dashboard from 'instance-queue/dashboard';
import * as health from 'instance-queue/health';
import * as nestjs from 'instance-queue/nestjs';
import * as testing from 'instance-queue/testing';
import { closing } from '../closing';
import { root } from '../compiler';
import { fences } from './fences';

/** What a test provides to a recipe. */
export interface Surroundings {
  /** The broker that the recipe connects to, whatever URL it names. */
  readonly url?: string;
  /** The values of what the recipe declares with `declare`. */
  readonly declared?: Readonly<Record<string, unknown>>;
  /** Other files of the document, by the names under which it imports them. */
  readonly files?: Readonly<Record<string, unknown>>;
}

/**
 * Runs the one fenced block of a document that contains `words` to its end, and gives its exports. The recipe runs on this
 * project's library; every InstanceQueue it creates is closed after the test.
 */
export async function runRecipe<Exports = unknown>(
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
  // The block is the body of an async function, so that a recipe may use `await` at its top level.
  const run = compileFunction(`return (async () => {${outputText}\n})();`, Object.keys(given), {
    filename: join(root, `${path}.line-${fence.line}.js`),
    lineOffset: fence.line - 2,
  }) as (...values: unknown[]) => Promise<void>;
  await run(...Object.values(given));
  return exports;
}

const classes = new Map<string, typeof library.InstanceQueue>();

/** A subclass of InstanceQueue that connects to this broker, whatever its options say, and is closed after the test. */
export function instanceQueueAt(url: string): typeof library.InstanceQueue {
  const known = classes.get(url);
  if (known) return known;
  class InstanceQueue extends library.InstanceQueue {
    constructor(target: string | library.InstanceQueueOptions) {
      super({ ...(typeof target === 'string' ? {} : target), url });
      closing(this);
    }
  }
  classes.set(url, InstanceQueue);
  return InstanceQueue;
}

/** The project's `require`, except for the library: that is the one under test, on the broker of the test. */
function requiring(url: string | undefined, files: Readonly<Record<string, unknown>>): (name: string) => unknown {
  const require = createRequire(join(root, 'package.json'));
  return (name) => {
    if (name === 'instance-queue') {
      return url === undefined ? library : { ...library, InstanceQueue: instanceQueueAt(url) };
    }
    if (name === 'instance-queue/health') return health;
    if (name === 'instance-queue/nestjs') return nestjs;
    if (name === 'instance-queue/testing') return testing;
    if (name === 'instance-queue/dashboard') return dashboard;
    if (name in files) return files[name];
    return require(name) as unknown;
  };
}
