import { ago, counted, grouped, plain, Terminal } from '../../../lib/cli/terminal';
import { surroundings, type SurroundingsOptions } from '../../support/surroundings';

const ESCAPE = '\u001b';
const never = new AbortController().signal;

function terminalOf(options: SurroundingsOptions = {}, { json = false, color = true } = {}) {
  const around = surroundings(options);
  return { around, terminal: new Terminal(around, { json, color }) };
}

describe('text of messages on a terminal', () => {
  it.each([
    ['\u001b[2J', false, '\\x1b[2J'],
    ['a\u0000b\u0007\u007f', false, 'a\\x00b\\x07\\x7f'],
    ['a\nb\tc\rd', false, 'a\\x0ab\\x09c\\x0dd'],
    ['a\nb\tc\rd', true, 'a\nb\tc\\x0dd'],
    ['Grüße, 注文 🐇', false, 'Grüße, 注文 🐇'],
  ])('%j holds no control characters (line breaks and tabs kept: %s)', (text, lines, shown) => {
    expect(plain(text, lines)).toBe(shown);
  });
});

describe('numbers and times for people', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1 000'],
    [12_345, '12 345'],
    [1_234_567, '1 234 567'],
    [123_456_789, '123 456 789'],
  ])('%i is %j', (count, text) => {
    expect(grouped(count)).toBe(text);
  });

  it.each([
    [0, '0 letters'],
    [1, '1 letter'],
    [2, '2 letters'],
    [1001, '1 001 letters'],
  ])('%i is %j', (count, text) => {
    expect(counted(count, 'letter')).toBe(text);
  });

  it.each([
    [-5000, '0 s'],
    [0, '0 s'],
    [1499, '1 s'],
    [1500, '2 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [7_199_000, '120 min'],
    [7_200_000, '2 h'],
    [172_799_000, '48 h'],
    [172_800_000, '2 d'],
    [10 * 86_400_000, '10 d'],
  ])('%i ms ago is %j', (ms, text) => {
    const now = Date.UTC(2030, 0, 1);
    expect(ago(new Date(now - ms), now)).toBe(text);
  });

  it('an unknown time is a dash', () => {
    expect(ago(undefined)).toBe('–');
    expect(ago(new Date())).toBe('0 s');
  });
});

describe('what a command says', () => {
  it('is the result on standard output, and everything else on standard error', () => {
    const { around, terminal } = terminalOf();
    terminal.print('result');
    terminal.print();
    terminal.printJson({ a: [1] });
    terminal.note('note');
    terminal.warn('careful');
    terminal.fail('broken');
    terminal.hint('only for people');
    expect(around.out()).toBe('result\n\n{"a":[1]}\n');
    expect(around.err()).toBe('note\nwarning: careful\nerror: broken\n');
  });

  it('has colours and hints on a terminal', () => {
    const { around, terminal } = terminalOf({ isTTY: true });
    for (const paint of ['bold', 'dim', 'green', 'red', 'yellow'] as const) terminal.print(terminal[paint](paint));
    terminal.warn('careful');
    terminal.fail('broken');
    terminal.hint('next');
    expect(around.out()).toBe(
      '\u001b[1mbold\u001b[22m\n\u001b[2mdim\u001b[22m\n\u001b[32mgreen\u001b[39m\n\u001b[31mred\u001b[39m\n\u001b[33myellow\u001b[39m\n',
    );
    expect(around.err()).toBe(
      '\u001b[33mwarning:\u001b[39m careful\n\u001b[31merror:\u001b[39m broken\n\u001b[2mnext\u001b[22m\n',
    );
  });

  it.each<[string, SurroundingsOptions, { color?: boolean }, boolean]>([
    ['a pipe', {}, {}, false],
    ['a pipe of a CI server', { env: { CI: 'true', FORCE_COLOR: '1' } }, {}, false],
    ['a terminal', { isTTY: true }, {}, true],
    ['a terminal with --no-color', { isTTY: true }, { color: false }, false],
    ['a terminal with NO_COLOR', { isTTY: true, env: { NO_COLOR: '1' } }, {}, false],
    ['a terminal with an empty NO_COLOR', { isTTY: true, env: { NO_COLOR: '' } }, {}, true],
    ['a terminal that can do nothing', { isTTY: true, env: { TERM: 'dumb' } }, {}, false],
    ['a terminal that can', { isTTY: true, env: { TERM: 'xterm' } }, {}, true],
  ])('%s', (_, options, choice, colours) => {
    const { around, terminal } = terminalOf(options, choice);
    terminal.print(terminal.bold('text'));
    terminal.fail('text');
    expect(around.out().includes(ESCAPE)).toBe(colours);
    expect(around.err().includes(ESCAPE)).toBe(colours);
  });

  it('is JSON without colours and without hints, also on a terminal', () => {
    const { around, terminal } = terminalOf({ isTTY: true }, { json: true });
    terminal.print(terminal.bold('text'));
    terminal.hint('next');
    terminal.warn('careful');
    expect(around.out()).toBe('text\n');
    expect(around.err()).toBe('\u001b[33mwarning:\u001b[39m careful\n');
  });

  it('is not written to an output that is closed at its other end, which ends the command', () => {
    const { around, terminal } = terminalOf();
    terminal.print('before');
    expect(terminal.deaf.signal.aborted).toBe(false);
    around.stdout.emit('error', Object.assign(new Error('closed'), { code: 'EPIPE' }));
    expect(terminal.deaf.signal.aborted).toBe(true);
    terminal.print('after');
    expect(around.out()).toBe('before\n');
  });

  it.each(['stdout', 'stderr'] as const)('another error of %s is not hidden', (name) => {
    const { around, terminal } = terminalOf();
    const error = Object.assign(new Error('full'), { code: 'ENOSPC' });
    expect(() => around[name].emit('error', error)).toThrow(error);
    expect(terminal.deaf.signal.aborted).toBe(false);
  });
});

describe('a table', () => {
  const head = ['COUNT', 'QUEUE', 'ERROR'];
  const rows = [
    ['1', 'orders.shipped', 'a'],
    ['1 000', '', 'PriceMissing: no price for CH'],
  ];

  it('has columns as wide as they need to be, and no blanks at the ends of its lines', () => {
    const { around, terminal } = terminalOf();
    terminal.table(head, [...rows, ['2', 'q', '']]);
    expect(around.out().split('\n')).toEqual([
      'COUNT  QUEUE           ERROR',
      '1      orders.shipped  a',
      '1 000                  PriceMissing: no price for CH',
      '2      q',
      '',
    ]);
  });

  it('is cut where the terminal ends, with a sign, and not in a pipe', () => {
    const { around, terminal } = terminalOf({ isTTY: true, columns: 28 }, { color: false });
    terminal.table(head, rows);
    expect(around.out().split('\n')).toEqual([
      'COUNT  QUEUE           ERROR',
      '1      orders.shipped  a',
      '1 000                  Pric…',
      '',
    ]);
    const pipe = terminalOf({ columns: 10 });
    pipe.terminal.table(head, rows);
    expect(pipe.around.out()).toContain('PriceMissing: no price for CH\n');
    const narrow = terminalOf({ isTTY: true, columns: 0 }, { color: false });
    narrow.terminal.table(head, []);
    expect(narrow.around.out()).toBe('C…\n');
    const wide = terminalOf({ isTTY: true }, { color: false });
    wide.terminal.table(head, rows);
    expect(wide.around.out()).toContain('PriceMissing: no price for CH\n');
  });
});

describe('a progress bar', () => {
  it('is on standard error, where that is a terminal, and is gone in the end', () => {
    const { around, terminal } = terminalOf({ isTTY: true, columns: 120 });
    const bar = terminal.progress('replayed');
    bar.stop();
    expect(around.err()).toBe('');
    bar.update(1, 40);
    const begun = around.err();
    bar.update(50, 60);
    bar.stop();
    expect(begun).toContain('\u001b[?25l');
    expect(begun).toMatch(/replayed .* 1\/40 · /);
    expect(around.err()).toContain('\u001b[?25h');
    const written = around.err().length;
    bar.stop();
    expect(around.err()).toHaveLength(written);
    expect(around.out()).toBe('');
  });

  it('has no time left that is not known, and is not shown again after its end', () => {
    const { around, terminal } = terminalOf({ isTTY: true, columns: 120 });
    const bar = terminal.progress('replayed');
    bar.update(0, 10);
    bar.update(0, 10);
    bar.update(10, 10);
    bar.stop();
    expect(around.err()).not.toMatch(/[A-Z]{2}s/);
    const written = around.err().length;
    bar.update(10, 10);
    expect(around.err()).toHaveLength(written);
  });

  it('is not in a pipe', () => {
    const { around, terminal } = terminalOf();
    const bar = terminal.progress('replayed');
    bar.update(1, 2);
    bar.stop();
    expect(around.err()).toBe('');
  });
});

describe('a question', () => {
  it.each([
    ['y', true],
    ['Y', true],
    ['yes', true],
    [' Yes ', true],
    ['', false],
    ['n', false],
    ['ye', false],
    ['yess', false],
    ['say yes', false],
    ['yes please', false],
    ['okay', false],
  ])('that is answered with %j: %s', async (answer, yes) => {
    const { around, terminal } = terminalOf();
    const asked = terminal.confirm('Drop for good?', never);
    around.stdin.write(`${answer}\n`);
    expect(await asked).toBe(yes);
    expect(around.err()).toBe('Drop for good? [y/N] ');
    expect(around.out()).toBe('');
  });

  it('has no answer after Ctrl-C, from the terminal or by a signal', async () => {
    const { around, terminal } = terminalOf({ isTTY: true });
    const typed = terminal.confirm('Drop?', never);
    around.stdin.write('\u0003');
    expect(await typed).toBeUndefined();
    const interrupted = new AbortController();
    const asked = terminal.confirm('Drop?', interrupted.signal);
    interrupted.abort();
    expect(await asked).toBeUndefined();
  });

  it('can be asked where both the input and standard error are a terminal', () => {
    expect(terminalOf({ isTTY: true }).terminal.asks).toBe(true);
    expect(terminalOf().terminal.asks).toBe(false);
    for (const name of ['stdin', 'stderr'] as const) {
      const around = surroundings({ isTTY: true });
      Object.assign(around[name], { isTTY: undefined });
      expect(new Terminal(around, { json: false, color: true }).asks).toBe(false);
    }
  });
});

describe('standard input', () => {
  it('is read whole', async () => {
    const { around, terminal } = terminalOf();
    const read = terminal.read(never);
    around.stdin.write('{"id"');
    around.stdin.end(':1}');
    expect((await read).toString()).toBe('{"id":1}');
  });

  it('is left when the signal is aborted', async () => {
    const { terminal } = terminalOf();
    const interrupted = new AbortController();
    const read = terminal.read(interrupted.signal);
    interrupted.abort();
    await expect(read).rejects.toMatchObject({ name: 'AbortError' });
  });
});
