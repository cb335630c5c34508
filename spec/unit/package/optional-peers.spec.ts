import { buildSync } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entryPoints } from '../../package/entry-points';

const root = join(__dirname, '../../..');
const { peerDependenciesMeta } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  peerDependenciesMeta: Record<string, { optional: true }>;
};
const optional = Object.keys(peerDependenciesMeta);

/** Which optional peers each entry point may import. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  nestjs: ['@nestjs/common', '@nestjs/core', '@nestjs/microservices', 'reflect-metadata'],
  opentelemetry: ['@opentelemetry/api'],
  prometheus: ['prom-client'],
};

/** Are not imported; the version matters all the same. */
const beside = ['@nestjs/terminus'];

const sourceOf = (declarations: string): string =>
  join(root, declarations.replace('./dist/', 'lib/').replace(/\.d\.ts$/, '.ts'));
const entries = entryPoints(root).map(({ name, declarations }) => [name, sourceOf(declarations)] as const);

/** The package that a path belongs to. */
const packageOf = (path: string): string => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path;

function importedPackages(source: string): string[] {
  const { metafile } = buildSync({
    entryPoints: [source],
    bundle: true,
    platform: 'node',
    packages: 'external',
    metafile: true,
    write: false,
    outdir: root,
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  return [...new Set(imports.filter(({ external }) => external).map(({ path }) => packageOf(path)))];
}

describe('optional peers', () => {
  it.each(entries)('the entry point %s imports its own and no others', (name, source) => {
    const imported = importedPackages(source).filter((one) => optional.includes(one));
    expect(new Set(imported)).toEqual(new Set(allowed[name]));
  });

  it('each belongs to an entry point', () => {
    expect(new Set([...Object.values(allowed).flat(), ...beside])).toEqual(new Set(optional));
  });

  it.each(entries.filter(([name]) => !(name in allowed)))('none is loaded with the entry point %s', (_name, source) => {
    const program = `require(${JSON.stringify(source)}); console.log(JSON.stringify(Object.keys(require.cache)))`;
    const output = execFileSync(process.execPath, ['-r', 'esbuild-register', '-e', program], { cwd: root });
    const loaded = JSON.parse(output.toString()) as string[];
    expect(loaded).toContain(source);
    const within = optional.map((name) => join(root, 'node_modules', name, '/'));
    expect(loaded.filter((path) => within.some((folder) => path.startsWith(folder)))).toEqual([]);
  });
});
