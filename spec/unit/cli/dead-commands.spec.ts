import { FakeInstanceQueue } from 'instance-queue/testing';
import { execFileSync } from 'node:child_process';
import { type DeadLetterGroups, DeadLetters, type DeadLetterReport } from 'instance-queue/tools';
import { concat, EMPTY, type Observable, of, throwError } from 'rxjs';
import { deadCommand } from '../../../lib/cli/dead-commands';
import { closeAll, closing } from '../../support/closing';
import { type RunOptions, runOver, surroundings } from '../../support/surroundings';
import { eventually } from '../../support/waiting';

afterEach(closeAll);

/** A queue with dead letters `m0` … in `orders.dead`; those with even numbers of the type `even`. */
async function filled(count: number): Promise<FakeInstanceQueue> {
  const queue = closing(new FakeInstanceQueue());
  await queue.admin.declare({
    queues: [{ name: 'orders', deadLetter: { queue: 'orders.dead' } }, { name: 'orders.dead' }, { name: 'archive' }],
  });
  for (let i = 0; i < count; i++) {
    const type = i % 2 === 0 ? 'even' : 'odd';
    await queue.send({ queue: 'orders', body: i, messageId: `m${String(i)}`, type });
    (await queue.admin.get('orders'))?.reject();
  }
  return queue;
}

const dead = (queue: FakeInstanceQueue, args: string[], options?: RunOptions) =>
  runOver(queue, deadCommand, args, options);
const waiting = (queue: FakeInstanceQueue, name = 'orders.dead'): readonly unknown[] =>
  queue.broker.messages(name).map(({ body }) => body);

describe('dead list', () => {
  it('shows groups of letters, and takes none', async () => {
    const queue = await filled(3);
    const { code, out, err } = await dead(queue, ['list', 'orders.dead']);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(
      /^orders\.dead: 3 letters read; 3 match\n\nCOUNT .*\n2 +orders +rejected +even .* m0 .*\n1 +orders +rejected +odd/,
    );
    expect(waiting(queue)).toEqual([0, 1, 2]);
  });

  it('shows those that are chosen, of those that are read', async () => {
    const queue = await filled(3);
    const args = ['list', 'orders.dead', '--type', 'odd', '--limit', '1'];
    expect((await dead(queue, args)).out).toBe('orders.dead: 1 letter read, the oldest of 3; 0 match\n');
  });

  it('says on a terminal what comes next, if there is anything', async () => {
    const next = 'Next: instance-queue dead show orders.dead --limit 1 (one of them, whole), or dead replay --help';
    const list = async (queue: FakeInstanceQueue): Promise<string> =>
      (await dead(queue, ['list', 'orders.dead'], { around: surroundings({ isTTY: true }) })).err;
    expect(await list(await filled(1))).toContain(next);
    expect(await list(await filled(0))).not.toContain('Next');
  });

  it.each(["don't", 'with "quotes" and spaces', '$HOME `id`', 'ünï/cødé', '-dead'])(
    'says it in words that a shell takes as they are meant: queue %j',
    async (name) => {
      const queue = closing(new FakeInstanceQueue());
      await queue.send({ queue: name, body: 1 });
      const { err } = await dead(queue, ['list', '--', name], { around: surroundings({ isTTY: true }) });
      const [, next = ''] = /Next: instance-queue (.*) \(one of them/.exec(err) ?? [];
      const words = execFileSync('/bin/sh', ['-c', `printf '%s\\n' ${next}`], { encoding: 'utf8' });
      const named = name.startsWith('-') ? ['--limit', '1', '--', name] : [name, '--limit', '1'];
      expect(words.trimEnd().split('\n')).toEqual(['dead', 'show', ...named]);
    },
  );

  it('shows no control characters of the name of a queue', async () => {
    const [name, queue] = ['dead\u001b[31m', closing(new FakeInstanceQueue())];
    const around = surroundings({ isTTY: true });
    expect((await dead(queue, ['list', name], { around })).err).toContain('`dead\\x1b[31m`');
    await queue.send({ queue: name, body: 1 });
    const { code, out, err } = await dead(queue, ['list', name], { around });
    expect(code).toBe(0);
    expect(out).toContain('dead\\x1b[31m: 1 letter read');
    expect(out + err).not.toContain(name);
  });

  it('is one document of JSON with --json', async () => {
    const { out } = await dead(await filled(2), ['list', 'orders.dead'], { json: true });
    expect(JSON.parse(out)).toMatchObject({ name: 'orders.dead', found: 2, read: 2, matched: 2, others: 0 });
  });

  it('says what the looks have cost the letters, and that it ended early for that', async () => {
    const found: DeadLetterGroups = { found: 3, read: 2, matched: 0, groups: [], others: 0, highestCount: 1 };
    const groups = jest.spyOn(DeadLetters.prototype, 'groups').mockReturnValue(of(found));
    const list = async (isTTY: boolean): Promise<string> =>
      (await dead(await filled(0), ['list', 'orders.dead'], { around: surroundings({ isTTY }) })).err;
    const hint = 'the most delivered of these letters was delivered 1 time; see --help\n';
    const warning = 'warning: the look ended early at a letter that is near its delivery limit; see --help\n';
    expect(await list(true)).toContain(hint);
    expect(await list(false)).toBe('');
    groups.mockReturnValue(of({ ...found, highestCount: 0, stopped: 'delivery-limit' }));
    expect(await list(true)).not.toContain('the most delivered');
    expect(await list(false)).toBe(warning);
    groups.mockRestore();
  });

  it.each([
    ['1', 1],
    ['all', 3],
  ])('shows as progress how many it has read, of those that it will: --limit %s', async (limit, total) => {
    const around = surroundings({ isTTY: true, columns: 120 });
    const { err } = await dead(await filled(3), ['list', 'orders.dead', '--limit', limit], { around });
    expect(err).toContain('reading ');
    expect(err).toContain(` ${String(total)}/${String(total)} `);
    // The cursor is back.
    expect(err.lastIndexOf('\u001b[?25h')).toBeGreaterThan(err.lastIndexOf('\u001b[?25l'));
  });

  it('of a queue that does not exist is refused', async () => {
    const { code, err } = await dead(await filled(0), ['list', 'none']);
    expect(code).toBe(6);
    expect(err).toMatch(/^error: .*none/);
  });

  it('ends by Ctrl-C', async () => {
    const interrupted = AbortSignal.abort();
    expect(await dead(await filled(1), ['list', 'orders.dead'], { interrupted })).toMatchObject({ code: 130 });
  });
});

describe('dead show', () => {
  it('shows letters, and takes none', async () => {
    const queue = await filled(2);
    const { code, out, err } = await dead(queue, ['show', 'orders.dead']);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^m0 · rejected in orders[^]*\n0\n\nm1 · rejected in orders[^]*\n1\n\n$/);
    expect(waiting(queue)).toEqual([0, 1]);
  });

  it('shows ten, unless a limit says otherwise', async () => {
    const queue = await filled(12);
    const lines = async (...args: string[]): Promise<number> =>
      (await dead(queue, ['show', 'orders.dead', ...args], { json: true })).out.trimEnd().split('\n').length;
    expect(await lines()).toBe(10);
    expect(await lines('--limit', '1')).toBe(1);
    expect(await lines('--limit', 'all')).toBe(12);
  });

  it.each([
    [['--id', 'none'], 'no letter matches among the oldest 10 (--limit all reads all)\n'],
    [['--id', 'm1', '--limit', '1'], 'no letter matches among the oldest 1 (--limit all reads all)\n'],
    [['--id', 'none', '--limit', 'all'], 'no letter matches in the queue\n'],
  ])('says where no letter matches: %j', async (args, words) => {
    expect(await dead(await filled(2), ['show', 'orders.dead', ...args])).toEqual({ code: 0, out: '', err: words });
  });
});

describe('dead replay', () => {
  it('sends letters back to where they failed', async () => {
    const queue = await filled(3);
    const { code, out, err } = await dead(queue, ['replay', 'orders.dead', '--type', 'even']);
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe('replayed: 2 of 2 that match\n  2 to orders\n');
    expect([waiting(queue), waiting(queue, 'orders')]).toEqual([[1], [0, 2]]);
  });

  it('does nothing in a dry run but count', async () => {
    const queue = await filled(2);
    const { code, out } = await dead(queue, ['replay', 'orders.dead', '--dry-run', '--limit', '1']);
    expect(code).toBe(0);
    expect(out).toMatch(/^would have been replayed: 1 of 1 that match; 1 of 2 read\n/);
    expect(waiting(queue)).toEqual([0, 1]);
    const { out: json } = await dead(queue, ['replay', 'orders.dead', '--dry-run'], { json: true });
    expect(JSON.parse(json)).toMatchObject({ action: 'replayed', dryRun: true, found: 2, done: 2 });
  });

  it('goes into the queue where it failed, or to every queue where it was published first', async () => {
    const queue = await filled(0);
    const bindings = ['orders', 'archive'].map((name) => ({ exchange: 'events', queue: name }));
    await queue.admin.declare({ exchanges: [{ name: 'events', type: 'fanout' }], bindings });
    for (const body of [0, 1]) {
      await queue.send({ exchange: 'events', body, messageId: `m${String(body)}` });
      (await queue.admin.get('orders'))?.reject();
      (await queue.admin.get('archive'))?.ack();
    }
    await dead(queue, ['replay', 'orders.dead', '--id', 'm0']);
    expect([waiting(queue, 'orders'), waiting(queue, 'archive')]).toEqual([[0], []]);
    await dead(queue, ['replay', 'orders.dead', '--as-published']);
    expect([waiting(queue, 'orders'), waiting(queue, 'archive')]).toEqual([[0, 1], [1]]);
  });

  it('goes to a queue or an exchange that is named', async () => {
    const queue = await filled(3);
    await dead(queue, ['replay', 'orders.dead', '--to', 'archive', '--id', 'm0']);
    await dead(queue, ['replay', 'orders.dead', '--to', 'archive', '--id', 'm1']);
    await queue.admin.declare({
      exchanges: [{ name: 'again', type: 'direct' }],
      bindings: [{ exchange: 'again', queue: 'archive', routingKey: 'order' }],
    });
    await dead(queue, ['replay', 'orders.dead', '--to-exchange', 'again', '--key', 'order']);
    expect(waiting(queue, 'archive')).toEqual([0, 1, 2]);
    expect(waiting(queue)).toEqual([]);
  });

  it.each([
    [['--to', 'a', '--to-exchange', 'b']],
    [['--to', 'a', '--as-published']],
    [['--to-exchange', 'b', '--as-published']],
  ])('goes to one place: %j is refused', async (args) => {
    const { code, err } = await dead(await filled(1), ['replay', 'orders.dead', ...args]);
    expect([code, err]).toEqual([2, 'error: --to, --to-exchange and --as-published exclude each other\n']);
  });

  it.each([
    [['replay', 'orders.dead', '--key', 'k']],
    [['replay', 'orders.dead', '--to', 'orders', '--key', 'k']],
    [['move', 'orders.dead', '--to', 'archive', '--yes', '--key', 'k']],
  ])('has no use for a routing key without an exchange: %j is refused', async (args) => {
    const queue = await filled(1);
    const { code, err } = await dead(queue, args);
    expect([code, err]).toEqual([2, 'error: --key is for --to-exchange: a queue has no routing key\n']);
    expect(waiting(queue)).toEqual([0]);
  });

  it('is done in part where letters stay', async () => {
    const queue = await filled(1);
    const { code, out } = await dead(queue, ['replay', 'orders.dead', '--to', 'nowhere']);
    expect(code).toBe(7);
    expect(out).toContain('  1 stayed: they are for a queue that does not exist\n');
    expect(waiting(queue)).toEqual([0]);
  });

  it.each([
    ['replay', ['--to', 'nowhere'], 7],
    ['replay', ['--to-exchange', 'nowhere'], 6],
    ['move', ['--to', 'nowhere', '--yes'], 7],
  ])('finds in a dry run that there is nothing of that name: %s %j', async (command, args, code) => {
    const queue = await filled(1);
    const ended = await dead(queue, [command, 'orders.dead', ...args, '--dry-run']);
    expect(ended.code).toBe(code);
    expect(ended.out + ended.err).toMatch(/There is no (queue|exchange) `nowhere`/);
    expect((await dead(queue, [command, 'orders.dead', ...args])).code).toBe(code);
    expect(waiting(queue)).toEqual([0]);
  });

  it.each([
    ['a pipe', {}],
    ['a terminal', { isTTY: true, columns: 120 }],
  ])('says once that a queue does not take letters, and until when it tries again: on %s', async (_, where) => {
    const queue = await filled(3);
    await queue.admin.declare({ queues: [{ name: 'full', maxLength: 1, overflow: 'reject-publish' }] });
    await queue.send({ queue: 'full', body: 'there' });
    const around = surroundings(where);
    const ended = dead(queue, ['replay', 'orders.dead', '--to', 'full'], { around });
    await eventually(() => queue.metrics.nacked >= 6);
    expect(around.out()).toBe('');
    (await queue.admin.get('full'))?.ack();
    await queue.admin.delete({ queue: 'full' });
    const { code, err } = await ended;
    expect(code).toBe(7);
    const words =
      /warning: `full` does not take letters now \(it is full, or has no leader\): trying again for up to 5 min, until \d\d:\d\d:\d\d/g;
    expect(err.match(words)).toHaveLength(1);
    expect(err.replace(words, '')).not.toContain('warning');
  });

  it('ends by Ctrl-C, with what it did', async () => {
    const queue = await filled(2);
    const { code, out } = await dead(queue, ['replay', 'orders.dead'], { interrupted: AbortSignal.abort() });
    expect(code).toBe(130);
    expect(out).toMatch(
      /^replayed: 0 of 0 that match; 0 of 2 read\ninterrupted: the rest is in its queue, untouched\n$/,
    );
    expect(waiting(queue)).toEqual([0, 1]);
  });

  it('shows as progress what is done, and by Ctrl-C why nothing was', async () => {
    const queue = await filled(2);
    await queue.admin.declare({ queues: [{ name: 'full', maxLength: 1, overflow: 'reject-publish' }] });
    await queue.send({ queue: 'full', body: 'there' });
    const [around, interrupted] = [surroundings({ isTTY: true, columns: 120 }), new AbortController()];
    const ended = dead(queue, ['replay', 'orders.dead', '--to', 'full'], { around, interrupted: interrupted.signal });
    await eventually(() => queue.metrics.nacked >= 2 && around.err().includes('/2'));
    interrupted.abort();
    const { code, out, err } = await ended;
    expect(code).toBe(130);
    expect(out).toMatch(/^replayed: 0 of 2 that match\n.*full.*\ninterrupted: .*\n$/);
    expect(err).toContain(' 0/2 ');
    expect(err).not.toContain(' 2/2 ');
    expect(waiting(queue)).toEqual([0, 1]);
  });
});

describe('letters that do not come, as those of a stream', () => {
  const none: DeadLetterReport = {
    found: 2,
    read: 0,
    matched: 0,
    done: 0,
    kept: { noOrigin: 0, unroutable: 0, refused: 0 },
    targets: {},
  };
  const WARNING =
    'warning: none of its 2 messages came: other consumers have them, or it is a stream (see tail --help)\n';

  it.each([
    ['replay', ['--to', 'archive']],
    ['move', ['--to', 'archive', '--yes']],
    ['drop', ['--yes']],
  ] as const)('are no success of dead %s', async (command, args) => {
    const taken = jest.spyOn(DeadLetters.prototype, command).mockReturnValue(of(none));
    const { code, err } = await dead(await filled(2), [command, 'orders.dead', ...args]);
    expect([code, err]).toEqual([7, WARNING]);
    taken.mockReturnValue(of({ ...none, found: 0 }));
    expect(await dead(await filled(0), [command, 'orders.dead', ...args])).toMatchObject({ code: 0, err: '' });
    taken.mockRestore();
  });

  it('are none of dead list either', async () => {
    const found: DeadLetterGroups = { found: 2, read: 0, matched: 0, groups: [], others: 0, highestCount: 0 };
    const groups = jest.spyOn(DeadLetters.prototype, 'groups').mockReturnValue(of(found));
    const queue = await filled(2);
    expect(await dead(queue, ['list', 'orders.dead'])).toMatchObject({ code: 0, err: WARNING });
    expect(await dead(queue, ['list', 'orders.dead'], { json: true })).toMatchObject({ code: 0, err: '' });
    for (const more of [{ found: 0 }, { read: 2 }]) {
      groups.mockReturnValue(of({ ...found, ...more }));
      expect(await dead(queue, ['list', 'orders.dead'])).toMatchObject({ code: 0, err: '' });
    }
    groups.mockRestore();
  });

  it('are not taken for letters that do not match', async () => {
    const look = jest.spyOn(DeadLetters.prototype, 'look').mockReturnValue(EMPTY);
    const queue = await filled(2);
    expect((await dead(queue, ['show', 'orders.dead'])).err).toBe(WARNING);
    expect((await dead(queue, ['show', 'orders.dead', '--id', 'x'])).err).toMatch(/^no letter matches/);
    expect((await dead(await filled(0), ['show', 'orders.dead'])).err).toMatch(/^no letter matches/);
    const interrupted = AbortSignal.abort();
    expect(await dead(queue, ['show', 'orders.dead'], { interrupted })).toEqual({ code: 130, out: '', err: '' });
    look.mockRestore();
  });
});

describe('a transfer of letters', () => {
  const some: DeadLetterReport = {
    found: 9,
    read: 4,
    matched: 3,
    done: 1,
    kept: { noOrigin: 0, unroutable: 1, refused: 0 },
    targets: {},
  };
  const replaying = async (report$: Observable<DeadLetterReport>, args: readonly string[], options?: RunOptions) => {
    const replay = jest.spyOn(DeadLetters.prototype, 'replay').mockReturnValue(report$);
    const ended = await dead(await filled(0), ['replay', 'orders.dead', ...args], options);
    const asked = replay.mock.lastCall;
    replay.mockRestore();
    return { ...ended, asked: asked?.[0] };
  };

  it('that fails says what it did all the same', async () => {
    const failing$ = concat(
      of(some),
      throwError(() => new Error('The link is gone.')),
    );
    const { code, out, err } = await replaying(failing$, []);
    expect([code, err]).toEqual([1, 'error: The link is gone.\n']);
    expect(out).toMatch(/^replayed: 1 of 3 that match; 4 of 9 read\n/);
    expect(
      await replaying(
        throwError(() => new Error('refused')),
        [],
      ),
    ).toMatchObject({ code: 1, out: '' });
  });

  it.each<[string, Partial<DeadLetterReport>, number]>([
    ['done', {}, 0],
    ['done in part where a letter stayed', { kept: { noOrigin: 0, unroutable: 0, refused: 1 } }, 7],
    ['done in part where it ended early', { stopped: 'delivery-limit' }, 7],
    ['interrupted, whatever stayed', { stopped: 'aborted', kept: { noOrigin: 1, unroutable: 0, refused: 0 } }, 130],
  ])('is %s', async (_, more, code) => {
    const kept = { noOrigin: 0, unroutable: 0, refused: 0 };
    expect((await replaying(of({ ...some, kept, ...more }), [])).code).toBe(code);
  });

  it('shows as progress the letters with which it has nothing more to do, of those that it will read', async () => {
    const progress = async (...args: string[]): Promise<string> =>
      (await replaying(of(some), args, { around: surroundings({ isTTY: true, columns: 120 }) })).err;
    expect(await progress()).toContain('replayed ');
    // One did not match, one is done, one stays; the fourth is under way.
    expect(await progress()).toContain(' 3/9 ');
    expect(await progress('--limit', '5')).toContain(' 3/5 ');
  });

  it('takes what it was told, and no more', async () => {
    const all = ['--id', 'm1', '--limit', '3', '--delivery-limit', '-1', '--rate', '0.5', '--dry-run'];
    const { asked } = await replaying(of(some), all);
    expect(asked).toEqual({
      where: { messageId: 'm1' },
      limit: 3,
      deliveryLimit: -1,
      rate: 0.5,
      dryRun: true,
      to: 'queue',
      signal: expect.any(AbortSignal) as unknown,
    });
    expect(Object.keys((await replaying(of(some), [])).asked ?? {}).sort()).toEqual(['signal', 'to', 'where']);
    const exchange = await replaying(of(some), ['--to-exchange', 'again']);
    expect(exchange.asked).toMatchObject({ to: { exchange: 'again', routingKey: '' } });
  });
});

describe('dead move and dead drop', () => {
  const ASKS = 'error: there is no terminal to ask on: add --yes, or --dry-run to see what would be done\n';

  it('do nothing without --yes where no one can be asked', async () => {
    const queue = await filled(1);
    for (const args of [
      ['move', 'orders.dead', '--to', 'archive'],
      ['drop', 'orders.dead'],
    ])
      expect(await dead(queue, args)).toEqual({ code: 2, out: '', err: ASKS });
    expect(waiting(queue)).toEqual([0]);
  });

  it('do it with --yes', async () => {
    const queue = await filled(3);
    const moved = await dead(queue, ['move', 'orders.dead', '--to', 'archive', '--yes', '--limit', '1']);
    expect(moved).toMatchObject({ code: 0, out: 'moved: 1 of 1 that match; 1 of 3 read\n  1 to archive\n' });
    const dropped = await dead(queue, ['drop', 'orders.dead', '-y', '--id', 'm2']);
    expect(dropped).toMatchObject({ code: 0, out: 'dropped: 1 of 1 that match\n' });
    expect([waiting(queue), waiting(queue, 'archive')]).toEqual([[1], [0]]);
  });

  it('need no answer for a dry run, and do nothing', async () => {
    const queue = await filled(1);
    const dropped = await dead(queue, ['drop', 'orders.dead', '--dry-run']);
    expect(dropped).toMatchObject({ code: 0, out: 'would have been dropped: 1 of 1 that match\n' });
    expect(waiting(queue)).toEqual([0]);
  });

  it('a move needs a place', async () => {
    const { code, err } = await dead(await filled(1), ['move', 'orders.dead', '--yes']);
    expect([code, err]).toEqual([2, 'error: where to? Give --to QUEUE, or --to-exchange EXCHANGE with --key\n']);
  });

  it.each([
    [['drop', 'orders.dead'], 'Drop for good: all letters of orders.dead (2 in all)? [y/N] '],
    [
      ['drop', 'orders.dead', '--id', 'm0'],
      'Drop for good: the letters with messageId m0 of orders.dead (2 in all)? [y/N] ',
    ],
    [['move', 'orders.dead', '--to', 'archive'], 'Move to archive: all letters of orders.dead (2 in all)? [y/N] '],
    [
      ['move', 'orders.dead', '--to-exchange', 'e'],
      'Move to exchange e: all letters of orders.dead (2 in all)? [y/N] ',
    ],
  ])('ask on a terminal, and take no for an answer: %j', async (args, question) => {
    const queue = await filled(2);
    const around = surroundings({ isTTY: true });
    around.stdin.write('n\n');
    const { code, err } = await dead(queue, args, { around });
    expect(code).toBe(1);
    expect(err).toContain(question);
    expect(err).toMatch(/nothing was done\n$/);
    expect(waiting(queue)).toEqual([0, 1]);
  });

  it('do nothing after Ctrl-D', async () => {
    const queue = await filled(1);
    const around = surroundings({ isTTY: true });
    around.stdin.write('\u0004');
    const { code, err } = await dead(queue, ['drop', 'orders.dead'], { around });
    expect(code).toBe(1);
    expect(err).toMatch(/nothing was done\n$/);
    expect(waiting(queue)).toEqual([0]);
  });

  it('do it after a yes, and nothing after Ctrl-C', async () => {
    const queue = await filled(1);
    const left = surroundings({ isTTY: true });
    left.stdin.write('\u0003');
    expect(await dead(queue, ['drop', 'orders.dead'], { around: left })).toMatchObject({ code: 130 });
    expect(waiting(queue)).toEqual([0]);
    const around = surroundings({ isTTY: true });
    around.stdin.write('y\n');
    expect(await dead(queue, ['drop', 'orders.dead'], { around })).toMatchObject({ code: 0 });
    expect(waiting(queue)).toEqual([]);
  });
});
