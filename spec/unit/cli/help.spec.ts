import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '../../../lib/cli/exit-codes';
import { main } from '../../../lib/cli/main';
import { surroundings, type SurroundingsOptions } from '../../support/surroundings';

/** Runs the command line as a shell does; nothing listens where its broker should be. */
async function run(
  args: readonly string[],
  { isTTY = false, input = '' }: SurroundingsOptions & { input?: string } = {},
) {
  const around = surroundings({ isTTY, env: { AMQP_URL: 'amqp://shop:geheim@127.0.0.1:1' } });
  around.stdin.end(input);
  const code = await main(args, around, new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  return { code, out: around.out(), err: around.err() };
}
const help = async (command: string): Promise<string> =>
  (await run([...command.split(' ').filter((word) => word !== ''), '--help'])).out;

const GROUPS = ['', 'dead', 'topology'];
const COMMANDS = [
  'dead list',
  'dead show',
  'dead replay',
  'dead move',
  'dead drop',
  'tail',
  'send',
  'check',
  'topology diff',
];

/** The commands that a help shows, as words: without what a shell does around them, and without the comment behind them. */
function examplesIn(text: string): string[][] {
  const lines = text.split('\n').filter((line) => /^ {2}.*\binstance-queue [a-z]/.test(line));
  return lines.map((line) => {
    const [command = ''] = line.replace(/^.*\binstance-queue /, '').split(/ {2,}| [|>] /);
    return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '');
  });
}

describe('the help', () => {
  it.each(['', ...GROUPS.slice(1), ...COMMANDS])(
    'of `%s` says what it does, and what each of its words means',
    async (command) => {
      const text = await help(command);
      const [usage, description] = text.split('\n\n');
      expect(usage).toMatch(new RegExp(`^Usage: instance-queue ${command}`));
      expect(description).toMatch(/^\w[^:]*[^:]$|^\w.*: /);
      const sections = [...text.matchAll(/^(?:Arguments|Options|Global Options|Commands):\n((?: +\S.*\n)+)/gm)];
      const entries = sections.flatMap(([, lines = '']) => lines.split('\n').filter((line) => /^ {2}\S/.test(line)));
      expect(entries.length).toBeGreaterThan(1);
      for (const entry of entries) expect(entry).toMatch(/^ {2}\S+(?: \S+)* {2,}\S/);
    },
  );

  it.each(GROUPS)('of `%s` names its commands', async (group) => {
    const names = [...GROUPS.slice(1), ...COMMANDS]
      .filter((name) => (group === '' ? !name.includes(' ') : name.startsWith(`${group} `)))
      .map((name) => name.replace(`${group} `, ''));
    const [, listed = ''] = /^Commands:\n([^]*?)\n\n/m.exec(`${await help(group)}\n\n`) ?? [];
    const found = [...listed.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name).filter((name) => name !== 'help');
    expect(found.sort()).toEqual([...names].sort());
  });

  it.each(COMMANDS)('of `%s` shows the options of all commands, and an example', async (command) => {
    const text = await help(command);
    for (const option of ['--url <url>', '--management <url>', '--json', '--no-color']) expect(text).toContain(option);
    expect(examplesIn(text).filter((words) => words.join(' ').startsWith(command))).not.toEqual([]);
  });

  it('names each exit code', async () => {
    const [, codes = ''] = /Exit codes:\n([^]*)/.exec(await help('')) ?? [];
    const named = [...codes.matchAll(/^ {2}(\d+) +\w/gm)].map(([, code]) => Number(code));
    expect(named).toEqual(Object.values(EXIT));
  });

  it('is on standard output, and no failure; so is the version', async () => {
    expect(await run(['dead', 'list', '--help'])).toMatchObject({ code: 0, err: '' });
    const manifest = readFileSync(join(__dirname, '..', '..', '..', 'package.json'), 'utf8');
    const { version } = JSON.parse(manifest) as { version: string };
    for (const option of ['-V', '--version'])
      expect(await run([option])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });
});

describe('an example of the help', () => {
  let folder = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'help-'));
    const [, topology = ''] = /\n( {2}\{ "exchanges"[^]*?\] \})\n/.exec(await help('topology diff')) ?? [];
    writeFileSync(join(folder, 'topology.json'), topology);
    writeFileSync(join(folder, 'order.json'), '{"id":1}');
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it('is one that the command line takes: only its broker is missing', async () => {
    const texts = await Promise.all(['', ...GROUPS.slice(1), ...COMMANDS].map(help));
    const examples = texts.flatMap(examplesIn).filter((words) => !words.includes('--help'));
    expect(examples.length).toBeGreaterThan(20);
    for (const words of examples) {
      const args = words.map((word) =>
        /^(topology|order)\.json$/.test(word) ? join(folder, word) : word.replace(/^amqps?:.*/, 'amqp://127.0.0.1:1'),
      );
      const { code, err } = await run(args, { isTTY: true, input: '{"id":1}' });
      expect({ words, code, err }).toMatchObject({ words, code: EXIT.unreachable });
    }
  });
});

describe('wrong usage', () => {
  it.each([
    [['dead', 'lst'], "error: unknown command 'lst'"],
    [['frobnicate'], "error: unknown command 'frobnicate'"],
    [['dead', 'list'], "error: missing required argument 'queue'"],
    [['topology', 'diff'], "error: missing required argument 'file'"],
    [['dead', 'list', 'q', '--limit', '0'], 'Expected a whole number from 1 on, or all.'],
    [['check', '--frobnicate'], "error: unknown option '--frobnicate'"],
    [['--frobnicate'], "error: unknown option '--frobnicate'"],
  ])('is explained on standard error, with where to find help: %j', async (args, words) => {
    const { code, out, err } = await run(args);
    expect([code, out]).toEqual([EXIT.usage, '']);
    expect(err).toContain(words);
    expect(err).toContain('(add --help for examples)');
  });

  it('shows no credentials', async () => {
    for (const args of [['--help'], ['dead', '--help'], ['dead', 'list', 'q'], ['check'], ['tail', 'x'], ['send']])
      expect(JSON.stringify(await run(args))).not.toContain('geheim');
  });
});
