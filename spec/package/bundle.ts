/**
 * The second half of `npm run build`: gathers the modules that tsc wrote into one file for each entry point, and one for
 * what several of them use. Node opens two files in half the time of 120; and a bundler that follows one entry point
 * never meets the optional peers of another. Each module still runs when it is first asked for, and once, whichever
 * entry points are used.
 */
import { build, buildSync, type Metafile, type Plugin } from 'esbuild';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { binary, entryPoints, type EntryPoint } from './entry-points';

const root = join(__dirname, '..', '..');
const dist = join(root, 'dist');
const SHARED = 'shared.js';
/** What an entry point's own code asks for instead of a shared module. */
const REGISTRY = 'instance-queue:shared';
const load = createRequire(__filename);

const options = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
} as const;

/** Which modules make up an entry point, by their paths from the root. */
type Modules = ReadonlyMap<EntryPoint, ReadonlySet<string>>;

function modulesOf(entries: readonly EntryPoint[], { outputs }: Metafile): Modules {
  const inputs = Object.values(outputs).map(({ entryPoint, inputs }) => [entryPoint, Object.keys(inputs)] as const);
  const byProgram = new Map(inputs.map(([program, modules]) => [resolve(root, program ?? ''), new Set(modules)]));
  return new Map(entries.map((entry) => [entry, byProgram.get(join(root, entry.program)) ?? new Set<string>()]));
}

/** What the main entry point uses, and what at least two others use. The entry points themselves stay what they are. */
function sharedAmong(modules: Modules): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const [{ name }, paths] of modules) {
    for (const path of paths) counts.set(path, (counts.get(path) ?? 0) + (name === 'index' ? 2 : 1));
  }
  const programs = new Set([...modules.keys()].map(({ program }) => join(program)));
  return new Set([...counts].filter(([path, count]) => count > 1 && !programs.has(path)).map(([path]) => path));
}

/** A module that needs a package that may be absent has to belong to one entry point alone. */
function refuseOptional(shared: ReadonlySet<string>, { inputs }: Metafile): void {
  const { peerDependenciesMeta = {} } = load(join(root, 'package.json')) as { peerDependenciesMeta?: object };
  for (const path of shared) {
    const optional = inputs[path]?.imports.find(({ path: name }) => Object.hasOwn(peerDependenciesMeta, name));
    if (optional) throw new Error(`${path} is shared by entry points, and imports the optional peer ${optional.path}`);
  }
}

/** Where each name of `rxjs` is defined: the module within the package. Read from its own index, as the names change between versions. */
function partsOfRxjs(): ReadonlyMap<string, string> {
  const index = readFileSync(load.resolve('rxjs'), 'utf8');
  const modules = new Map(
    [...index.matchAll(/^var (\w+) = require\("\.\/(internal\/[^"]+)"\);$/gm)].map(([, name, path]) => [name, path]),
  );
  const names = [...index.matchAll(/exports, "(\w+)", .* return (\w+)\.\1;/g)];
  return new Map(
    names.flatMap(([, name = '', module]) => (modules.has(module) ? [[name, modules.get(module) ?? '']] : [])),
  );
}

/**
 * Makes a module ask for no more than it uses. `require('rxjs')` opens 224 files, two thirds of what it costs to load this package;
 * each name comes from its own module instead, which is the very one that `rxjs` passes on. `pino` is loaded by the first client that
 * logs with it.
 */
function lean(code: string, path: string, parts: ReadonlyMap<string, string>): string {
  return code
    .replace(/^(?:var|const) (rxjs_\d+) = require\("rxjs"\);$/gm, (_, variable: string) => {
      const names = new Set(
        [...code.matchAll(new RegExp(`\\b${variable}\\.(\\w+)`, 'g'))].map(([, name = '']) => name),
      );
      const properties = [...names].map((name) => {
        const part = parts.get(name);
        if (part === undefined) throw new Error(`${path} uses \`${name}\`, which the index of rxjs does not have`);
        return `${name}: require("rxjs/${part}").${name}`;
      });
      return `const ${variable} = { ${properties.join(', ')} };`;
    })
    .replace('const pino_1 = require("pino");', 'const pino_1 = { get pino() { return require("pino").pino; } };');
}

/** What is gathered is lean, and has a look-up in the registry, from the file `from`, instead of each shared module. */
const gathering = (parts: ReadonlyMap<string, string>, shared: ReadonlySet<string>, from: string): Plugin => ({
  name: 'gathering',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: new RegExp(`^${REGISTRY}$`) }, () => {
      const path = relative(dirname(from), join(dist, SHARED));
      return { path: path.startsWith('.') ? path : `./${path}`, external: true };
    });
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      const module = relative(root, path);
      if (shared.has(module)) return { contents: `module.exports = require("${REGISTRY}")["${module}"]();` };
      return path.startsWith(dist) ? { contents: lean(readFileSync(path, 'utf8'), module, parts) } : undefined;
    });
  },
});

/** `import { … }` finds the names by reading the file, and not by running it. */
const namesOf = ({ program }: EntryPoint): string =>
  `0 && (module.exports = { ${Object.keys(load(join(root, program)) as object).join(', ')} });`;

/** Packages that users install with this one; everything else that the command line needs is built into it. */
function installed(): string[] {
  const { dependencies = {}, peerDependencies = {} } = load(join(root, 'package.json')) as Record<string, object>;
  return Object.keys({ ...dependencies, ...peerDependencies });
}

/** The licences of what is built in, which say that they go with every copy. */
function licences({ inputs }: Metafile): string {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
  );
  const texts = [...packages].sort().map((folder) => {
    const { name, version } = load(join(root, folder, 'package.json')) as { name: string; version: string };
    const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one));
    if (file === undefined) throw new Error(`${name} is built into the command line, and has no licence file.`);
    return `${name} ${version}\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`;
  });
  return ['Built into bin.js:', ...texts].join('\n\n');
}

async function gather(): Promise<void> {
  const entries = entryPoints(root);
  const program = binary(root);
  const line: EntryPoint = { name: 'cli', program, declarations: '' };
  const { metafile } = buildSync({
    ...options,
    entryPoints: [...entries, line].map(({ program }) => program),
    outdir: dist,
    metafile: true,
    write: false,
  });
  const shared = sharedAmong(modulesOf([...entries, line], metafile));
  refuseOptional(shared, metafile);
  const parts = partsOfRxjs();

  // All are made before any is written: they are written over what they are made of.
  const made = await Promise.all([
    build({
      ...options,
      stdin: {
        contents: [...shared].map((path) => `exports["${path}"] = () => require("./${path}");`).join('\n'),
        resolveDir: root,
        sourcefile: SHARED,
      },
      outfile: join(dist, SHARED),
      plugins: [gathering(parts, new Set(), join(dist, SHARED))],
      write: false,
    }),
    ...entries.map((entry) =>
      build({
        ...options,
        entryPoints: [entry.program],
        outfile: join(root, entry.program),
        allowOverwrite: true,
        plugins: [gathering(parts, shared, join(root, entry.program))],
        footer: { js: namesOf(entry) },
        write: false,
      }),
    ),
  ]);
  const { packages: _, ...bundling } = options;
  const command = await build({
    ...bundling,
    external: installed(),
    entryPoints: [program],
    outfile: join(root, program),
    allowOverwrite: true,
    plugins: [gathering(parts, shared, join(root, program))],
    banner: { js: '#!/usr/bin/env node' },
    minify: true,
    legalComments: 'none',
    metafile: true,
    write: false,
  });
  for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.js')) rmSync(join(dist, file));
  }
  const written = [...made, command].flatMap(({ outputFiles }) => outputFiles);
  for (const { path, contents } of written) writeFileSync(path, contents);
  // It has no types: users run it.
  const folder = dirname(join(root, program));
  for (const file of readdirSync(folder)) if (file.endsWith('.d.ts')) rmSync(join(folder, file));
  writeFileSync(join(folder, 'LICENSES.txt'), licences(command.metafile));
  chmodSync(join(root, program), 0o755);
}

gather().catch((error: unknown) => {
  process.exitCode = 1;
  console.error(error);
});
