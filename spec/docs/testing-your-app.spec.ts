import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import ts from 'typescript';
import { root } from '../support/compiler';
import { fences } from '../support/guides/fences';

/** The tests that the guide shows, each fence a module of its own. */
const recipes = fences(readFileSync(join(root, 'demo/guides/testing.md'), 'utf8'), ['ts']).filter(({ code }) =>
  /^\s*test\(/m.test(code),
);

it('the guide shows tests of an app', () => {
  expect(recipes.length).toBeGreaterThanOrEqual(2);
});

describe.each(recipes)('the tests at line $line of the guide', ({ code }) => {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const globals = { exports: {}, require, jest, describe, test, expect, beforeEach, afterEach };
  const declare = compileFunction(outputText, Object.keys(globals)) as (...values: unknown[]) => void;
  declare(...Object.values(globals));
});
