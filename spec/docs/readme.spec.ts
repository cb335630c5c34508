import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { diagnose, hostWith, projectConfig, root } from '../support/compiler';
import { fences, type Fence } from '../support/fences';

jest.setTimeout(120_000);

describe('README.md', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');

  it('every TypeScript fence compiles by itself', () => {
    const found = fences(readme, ['ts', 'typescript']);
    expect(found).not.toEqual([]);
    expect(compile(found)).toEqual([]);
  });

  it('every script that it names exists', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = [...readme.matchAll(/\bnpm (?:run ([\w:-]+)|(test|start)\b)/g)].map(
      ([, run, short]) => run ?? short!,
    );
    expect(named).not.toEqual([]);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('every relative link leads to a file', () => {
    const links = [...readme.matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g)].map(([, path]) => path!);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

/** Each fence as a module of its own (hence `await` at the top is fine), with errors at the lines of the README. */
function compile(found: readonly Fence[]): string[] {
  const options = {
    ...projectConfig().options,
    // An example shows a declaration without having a use for it.
    noUnusedLocals: false,
    noUnusedParameters: false,
    // The declarations of the dependencies are checked with the project.
    skipLibCheck: true,
  };
  const modules = new Map(
    found.map(({ line, code }) => [
      join(root, `README.line-${line}.mts`),
      // Blank lines in front, so that the compiler's line numbers are those of the README.
      `${'\n'.repeat(line - 1)}${code}\nexport {};\n`,
    ]),
  );
  return diagnose([...modules.keys()], options, hostWith(modules, options)).map((problem) =>
    problem.replace(/^README\.line-\d+\.mts/, 'README.md'),
  );
}
