/**
 * What users get: packs the tarball, looks at it with publint and are-the-types-wrong, installs it in an empty folder
 * and tries it there against a broker, compiled and run as CommonJS and as ESM, with each generation of Node that
 * package.json promises.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startBroker } from '../../compose/broker';
import { nodeBinary } from './node-binary';

const root = join(__dirname, '..', '..');

/** How users set their compilers up; `files` as far as a setting knows them. */
const settings = [
  { name: 'node16', options: { module: 'node16' }, files: ['user.cts', 'user.mts'] },
  { name: 'nodenext', options: { module: 'nodenext' }, files: ['user.cts', 'user.mts'] },
  { name: 'bundler', options: { module: 'preserve', moduleResolution: 'bundler' }, files: ['user.mts'] },
];
const programs = ['node16/user.cjs', 'node16/user.mjs', 'identity.mjs'];
/** `engines` says from which on; these are the ones that are looked after. */
const generations = [20, 22, 24];

/** What a tarball may hold, and what it must. */
const allowed =
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/[\w/-]+(\.js|\.d\.ts)|demo\/guides\/[\w-]+\.md)$/;
const needed = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'dist/index.js', 'dist/index.d.ts'],
  // `error.help` leads there.
  'demo/guides/errors.md',
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
  const user = join(folder, 'user');
  mkdirSync(user);
  write(user, 'package.json', { private: true });
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await run(
    'npm',
    ['install', ...quiet, tarball, ...['rxjs', 'typescript', '@opentelemetry/api'].map(atOurVersion)],
    user,
  );

  for (const extension of ['cts', 'mts']) copyFileSync(join(__dirname, 'user.ts'), join(user, `user.${extension}`));
  copyFileSync(join(__dirname, 'identity.mjs'), join(user, 'identity.mjs'));

  step(`compiled: ${settings.map(({ name }) => name).join(', ')}`);
  await Promise.all(
    settings.map(({ name, options, files }) => {
      const strict = { strict: true, skipLibCheck: false, target: 'ES2022', lib: ['ES2022'] };
      write(user, `${name}.json`, { compilerOptions: { ...strict, ...options, rootDir: '.', outDir: name }, files });
      return run(tool('tsc', user), ['-p', `${name}.json`], user);
    }),
  );

  const broker = await startBroker();
  try {
    for (const generation of generations) {
      const node = await nodeBinary(generation, join(folder, 'nodes'), run);
      const version = await run(node, ['--version']);
      step(`run with Node ${version.trim()}: ${programs.join(', ')}`);
      for (const program of programs) await run(node, [program], user, { AMQP_URL: broker.url });
    }
  } finally {
    await broker.stop();
  }
}

/** Builds and packs, and looks at what is in the tarball. */
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

/** Users install what this checkout has as well: it is in npm's cache already. */
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

function write(into: string, name: string, content: object) {
  writeFileSync(join(into, name), JSON.stringify(content, undefined, 2));
}

function step(what: string) {
  console.log(`· ${what}`);
}
