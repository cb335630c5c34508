import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { diagnose, hostWith, projectConfig, root } from '../support/compiler';
import { fences } from '../support/guides/fences';
import { anchorsOf, documents, type Document } from './documents';

jest.setTimeout(120_000);

describe('README.md and the guides', () => {
  it('every TypeScript fence compiles by itself', () => {
    const found = documents.map((document) => fences(document.text, ['ts', 'typescript']).length);
    expect(found.filter((count) => count > 0).length).toBeGreaterThan(5);
    expect(compile(documents)).toEqual([]);
  });
});

describe.each(documents)('$path', ({ path, text }) => {
  it('every script that it names exists', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = [...text.matchAll(/\bnpm (?:run ([\w:-]+)|(test|start)\b)/g)].map(([, run, short]) => run ?? short!);
    if (path === 'README.md') expect(named).not.toEqual([]);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('every relative link leads to a file, and to a heading in it', () => {
    const links = [...text.matchAll(/\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
    const dead = links.filter(([, file = '', anchor]) => {
      const target = file === '' ? join(root, path) : join(root, dirname(path), file);
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).has(anchor);
    });
    expect(dead.map(([link]) => link)).toEqual([]);
  });
});

it('no example leaves the errors of a stream to the process', () => {
  const bare = documents.flatMap(({ path, text }) =>
    fences(text, ['ts', 'typescript'])
      .filter(({ code }) => code.includes('.subscribe()'))
      .map(({ line }) => `${path}:${String(line)}`),
  );
  expect(bare).toEqual([]);
});

it('every file that contributors are sent to exists', () => {
  const { text } = documents.find(({ path }) => path === '.github/CONTRIBUTING.md')!;
  let room = '';
  const named = [...text.matchAll(/`([\w./-]+)`/g)].flatMap(([, path = '']) => {
    // The first of a row names the room of those behind it: `lib/connection/supervisor.ts`, `backoff.ts`.
    if (/^(lib|spec|demo|compose)\//.test(path)) room = dirname(path);
    else if (!/^[\w-]+\.ts$/.test(path)) return [];
    return [path.includes('/') ? path : `${room}/${path}`];
  });
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

it('every other document is linked from README.md', () => {
  const readme = documents.find(({ path }) => path === 'README.md')!;
  const guides = documents.map(({ path }) => path).filter((path) => path !== 'README.md');
  expect(guides.filter((path) => !readme.text.includes(`](${path})`))).toEqual([]);
});

/** Each fence as a module of its own (hence `await` at the top is fine), with errors at the lines of its document. */
function compile(texts: readonly Document[]): string[] {
  const options = {
    ...projectConfig().options,
    // An example shows a declaration without having a use for it.
    noUnusedLocals: false,
    noUnusedParameters: false,
    // Nest's.
    experimentalDecorators: true,
    // The declarations of the dependencies are checked with the project.
    skipLibCheck: true,
  };
  const modules = new Map(
    texts.flatMap(({ path, text }) =>
      fences(text, ['ts', 'typescript']).flatMap(({ line, code }) => {
        // Blank lines in front, so that the compiler's line numbers are those of the document.
        const module = `${'\n'.repeat(line - 1)}${code}\nexport {};\n`;
        // A fence that begins with the name of its file can be imported by the others of the document.
        const [, name] = /^\/\/ ([\w-]+)\.ts$/m.exec(code.split('\n')[0] ?? '') ?? [];
        return [
          [join(root, `${path}.line-${line}.mts`), module],
          ...(name === undefined ? [] : [[join(root, dirname(path), `${name}.ts`), module]]),
        ] as [string, string][];
      }),
    ),
  );
  return diagnose([...modules.keys()], options, hostWith(modules, options)).map((problem) =>
    problem.replace(/^(.*\.md)\.line-\d+\.mts/, '$1'),
  );
}
