/**
 * What users get: packs the tarball, checks it with publint and are-the-types-wrong, installs it in an empty folder and
 * tries it there against a broker: compiled and run as CommonJS and as ESM, with each generation of Node that package.json
 * promises, with Bun and Deno, under Jest and Vitest, and bundled without any optional peer.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startBroker } from '../../compose/broker';
import { bundlers } from './bundlers';
import { nodeRuntime, otherRuntime, otherRuntimes, type Runtime } from './runtimes';

const root = join(__dirname, '..', '..');
const sources = join(__dirname, 'programs');

/** Compiler settings of users; `files` are those that a setting can compile. */
const settings = [
  { name: 'node16', options: { module: 'node16' }, files: ['user.cts', 'user.mts'] },
  { name: 'nodenext', options: { module: 'nodenext' }, files: ['user.cts', 'user.mts'] },
  { name: 'bundler', options: { module: 'preserve', moduleResolution: 'bundler' }, files: ['user.mts'] },
];
const programs = ['node16/user.cjs', 'node16/user.mjs', 'identity.mjs', 'lean.cjs'];
/** The generations of Node that Node's own project maintains, from `engines` on. */
const generations = [20, 22, 24];
/** The generations of TypeScript that the types are published for. */
const compilers = ['5.9.0', '6.0.0', '7.0.0'];

/** What the tarball may hold, and what it must. */
const allowed =
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/[\w/-]+(\.js|\.d\.ts)|dist\/cli\/LICENSES\.txt|demo\/guides\/[\w-]+\.(md|json))$/;
const needed = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'dist/index.js', 'dist/index.d.ts'],
  // `error.help` leads there.
  'demo/guides/errors.md',
  'dist/cli/bin.js',
  'dist/cli/LICENSES.txt',
];

const folder = mkdtempSync(join(tmpdir(), 'instance-queue-trial-'));
trial(folder)
  .then(() => console.log('The package is fit to be published.'))
  .catch((error: unknown) => {
    process.exitCode = 1;
    console.error(error instanceof Error ? error.message : error);
  })
  .finally(() => rmSync(folder, { recursive: true, force: true }));

async function trial(folder: string) {
  const tarball = await pack(folder);

  step('publint, are-the-types-wrong');
  await Promise.all([
    run(tool('publint'), ['run', '--strict', tarball]),
    run(tool('attw'), ['--no-emoji', '--no-color', tarball]),
  ]);

  step('installed in an empty folder');
  const user = await install(join(folder, 'user'), [
    tarball,
    ...['rxjs', 'typescript', 'zod', ...peers()].map(atOurVersion),
  ]);
  for (const extension of ['cts', 'mts']) copyFileSync(join(sources, 'user.ts'), join(user, `user.${extension}`));
  copy(user, 'identity.mjs', 'lean.cjs');

  step(`compiled: ${settings.map(({ name }) => name).join(', ')}`);
  await Promise.all(
    settings.map(({ name, options, files }) => {
      const strict = { strict: true, skipLibCheck: false, target: 'ES2022', lib: ['ES2022'] };
      write(user, `${name}.json`, { compilerOptions: { ...strict, ...options, rootDir: '.', outDir: name }, files });
      return run(tool('tsc', user), ['-p', `${name}.json`], user);
    }),
  );

  await typeCases(user);

  const broker = await startBroker();
  const env = { AMQP_URL: broker.url };
  try {
    for (const generation of generations) {
      await runWith(await nodeRuntime(generation, join(folder, 'runtimes'), run), user, env);
    }
    for (const name of otherRuntimes) {
      const runtime = await otherRuntime(name, join(folder, 'runtimes'), run);
      if ('whyNot' in runtime) step(`not run with ${name}: ${runtime.whyNot}`);
      else await runWith(runtime, user, env);
    }

    await underTestRunners(user, env);
    await bundled(tarball, join(folder, 'bare'), env);
  } finally {
    await broker.stop();
  }
}

/** What compiles and what does not, by the published types, with each generation of the compiler. */
async function typeCases(user: string) {
  const file = 'contracts.types.ts';
  copyFileSync(join(root, 'spec', 'types', file), join(user, file));
  const options = {
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    types: ['node'],
  };
  const target = { target: 'ES2022', lib: ['ES2022', 'ESNext.Disposable'], module: 'nodenext' };
  write(user, 'cases.json', { compilerOptions: { ...options, ...target }, files: [file] });
  for (const generation of compilers) {
    step(`cases of types with TypeScript ${generation}`);
    const compiler = await install(join(user, `typescript-${generation}`), [`typescript@~${generation}`]);
    await run(tool('tsc', compiler), ['-p', 'cases.json'], user);
  }
}

async function runWith({ name, command, args }: Runtime, user: string, env: NodeJS.ProcessEnv) {
  step(`run with ${name}: ${programs.join(', ')}`);
  for (const program of programs) await run(command, [...args, program], user, env);
}

/** The program of a user as a test: Jest gives each test file a realm of its own, Vitest a thread or process. */
async function underTestRunners(user: string, env: NodeJS.ProcessEnv) {
  step('run under Jest');
  write(user, 'user.test.cjs', `test('user', () => require('./node16/user.cjs').finished, 60_000);`);
  write(user, 'jest.config.json', { testMatch: ['**/user.test.cjs'], transform: {} });
  await run(tool('jest'), ['--rootDir', user, '--config', join(user, 'jest.config.json')], user, env);
  step('run under Vitest');
  write(user, 'user.test.mjs', `test('user', async () => (await import('./node16/user.mjs')).finished, 60_000);`);
  await run(tool('vitest'), ['run', '--globals', '--root', user, 'user.test.mjs'], user, env);
}

/** Where no optional peer is installed, a bundler still finds all that the main entry point needs. */
async function bundled(tarball: string, folder: string, env: NodeJS.ProcessEnv) {
  const user = await install(folder, [tarball, atOurVersion('rxjs')]);
  copy(user, 'bundled.mjs');
  await commandLine(user, env);
  for (const [index, { name, bundle }] of bundlers.entries()) {
    step(`bundled without optional peers, and run: ${name}`);
    const outfile = join(user, 'bundles', `${index}.mjs`);
    await bundle(join(user, 'bundled.mjs'), outfile);
    const said = await run(process.execPath, [outfile], user, env);
    if (!said.startsWith('ConnectionError: ')) throw new Error(`${name}: the bundled program prints\n${said}`);
  }
}

/** `npx instance-queue`, with nothing installed but the package and RxJS. */
async function commandLine(user: string, env: NodeJS.ProcessEnv) {
  step('npx instance-queue: --help, check');
  const npx = (...args: string[]) => run('npx', ['--no-install', 'instance-queue', ...args], user, env);
  const help = await npx('dead', 'replay', '--help');
  if (!help.includes('--dry-run')) throw new Error(`npx instance-queue dead replay --help prints\n${help}`);
  const { ok } = JSON.parse(await npx('check', '--json')) as { ok: boolean };
  if (!ok) throw new Error('npx instance-queue check does not connect');
}

async function install(folder: string, packages: readonly string[]): Promise<string> {
  mkdirSync(folder);
  write(folder, 'package.json', { private: true });
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', ...quiet, ...packages], folder);
  return folder;
}

function copy(into: string, ...names: readonly string[]) {
  for (const name of names) copyFileSync(join(sources, name), join(into, name));
}

/** Every optional peer: entry points that need one are tried as well. */
function peers(): readonly string[] {
  const manifest = readFileSync(join(root, 'package.json'), 'utf8');
  return Object.keys((JSON.parse(manifest) as { peerDependenciesMeta: object }).peerDependenciesMeta);
}

/** Builds and packs, and checks what is in the tarball. */
async function pack(into: string): Promise<string> {
  step('packed');
  const output = await run('npm', ['pack', '--json', '--loglevel=error', '--pack-destination', into]);
  // What the build prints comes before.
  const [packed] = JSON.parse(output.slice(output.search(/^\[$/m))) as [Packed];
  const paths = packed.files.map(({ path }) => path);
  const strange = paths.filter((path) => !allowed.test(path));
  if (strange.length > 0) throw new Error(`The tarball holds what it should not: ${strange.join(', ')}`);
  const missing = needed.filter((path) => !paths.includes(path));
  if (missing.length > 0) throw new Error(`The tarball lacks ${missing.join(', ')}`);
  compareSizes(packed);
  return join(into, packed.filename);
}

/** The README tells how large the package is: about so, in kB. */
function compareSizes({ size, unpackedSize }: Packed) {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, ...told] = /(\d+) kB packed, (\d+) kB unpacked/.exec(readme) ?? [];
  const real = [size, unpackedSize].map((bytes) => Math.round(bytes / 1000));
  const near = told.length === 2 && real.every((kB, index) => Math.abs(kB - Number(told[index])) <= kB / 10);
  if (!near) throw new Error(`README.md does not say what is so: ${real[0]!} kB packed, ${real[1]!} kB unpacked`);
}

interface Packed {
  readonly size: number;
  readonly unpackedSize: number;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** Users install the versions that this checkout has: they are in npm's cache already. */
function atOurVersion(name: string): string {
  const manifest = readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8');
  return `${name}@${(JSON.parse(manifest) as { version: string }).version}`;
}

function tool(name: string, within = root): string {
  return join(within, 'node_modules', '.bin', name);
}

async function run(command: string, args: readonly string[], cwd = root, env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const options = { cwd, env: { ...process.env, ...env }, timeout: 120_000 };
    const { stdout } = await promisify(execFile)(command, args, options);
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${[command, ...args].join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

function write(into: string, name: string, content: object | string) {
  writeFileSync(join(into, name), typeof content === 'string' ? content : JSON.stringify(content, undefined, 2));
}

function step(what: string) {
  console.log(`· ${what}`);
}
