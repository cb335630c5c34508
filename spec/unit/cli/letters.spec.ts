import { letterJson, messageJson, printGroups, printLetter, printMessage, printReport } from '../../../lib/cli/letters';
import { Terminal } from '../../../lib/cli/terminal';
import type { Message, MessageProperties } from '../../../lib/index';
import type { DeadLetter, DeadLetterGroups, DeadLetterReport } from '../../../lib/tools/index';
import { surroundings } from '../../support/surroundings';

interface Given {
  readonly body?: Buffer | string;
  readonly exchange?: string;
  readonly offset?: number;
  readonly properties?: MessageProperties;
}

function message({ body = 'text', exchange = 'events', offset, properties = {} }: Given = {}): Message<Buffer> {
  const content = Buffer.from(body);
  const route = { exchange, routingKey: 'order.paid', queue: 'orders', redelivered: false, deliveryCount: 0 };
  return { ...route, ...(offset !== undefined && { offset }), content, body: content, properties };
}

/** What is printed, line by line. */
function printed(print: (terminal: Terminal) => void): readonly string[] {
  const around = surroundings();
  print(new Terminal(around, { json: false, color: false }));
  return around.out().split('\n').slice(0, -1);
}

const letter = (facts: Partial<DeadLetter> = {}): DeadLetter => ({
  messageId: undefined,
  reason: 'unknown',
  queue: undefined,
  error: undefined,
  diedAt: undefined,
  published: undefined,
  attempts: 0,
  replays: 0,
  message: message(),
  ...facts,
});

describe('a message as JSON', () => {
  it('has its route, its properties and its text', () => {
    expect(messageJson(message({ body: '{"id":1}', properties: { type: 'order' } }))).toEqual({
      exchange: 'events',
      routingKey: 'order.paid',
      redelivered: false,
      properties: { type: 'order' },
      body: '{"id":1}',
    });
  });

  it('has a body that is no text as Base64, and the offset of a stream', () => {
    expect(messageJson(message({ body: Buffer.from([0xff, 0]), offset: 0 }))).toMatchObject({
      bodyBase64: '/wA=',
      offset: 0,
    });
    expect(messageJson(message({ body: Buffer.from([0xff]) }))).not.toHaveProperty('body');
    expect(messageJson(message())).not.toHaveProperty('offset');
  });

  it('of a dead letter has the facts about it, and no message inside', () => {
    const json = letterJson(letter({ messageId: 'm1', reason: 'rejected', attempts: 3 }));
    expect(json).toMatchObject({ messageId: 'm1', reason: 'rejected', attempts: 3, replays: 0, body: 'text' });
    expect(json).not.toHaveProperty('message');
  });
});

describe('a message for people', () => {
  it('has its id and route, its properties, its headers, and its body', () => {
    const properties = { messageId: 'm1', priority: 5, headers: { tenant: 'a', 'x-list': [1] } };
    expect(
      printed((terminal) => {
        printMessage(terminal, message({ properties, body: 'a\nb' }));
      }),
    ).toEqual([
      'm1  events → order.paid',
      '  messageId: m1',
      '  priority: 5',
      '  tenant: a',
      '  x-list: [1]',
      'a',
      'b',
      '',
    ]);
  });

  it('may have no id, and come from the default exchange', () => {
    const lines = printed((terminal) => {
      printMessage(terminal, message({ exchange: '' }));
    });
    expect(lines).toEqual(['(no id)  (default exchange) → order.paid', 'text', '']);
  });

  it('has the size of a body that is no text', () => {
    const lines = printed((terminal) => {
      printMessage(terminal, message({ body: Buffer.from([0xff, 0xfe]) }));
    });
    expect(lines.slice(1)).toEqual(['(2 bytes, no text)', '']);
  });

  it('shows control characters in no part of it', () => {
    const evil = '\u001b[2J';
    const properties = { messageId: evil, type: evil, headers: { [evil]: evil } };
    const lines = printed((terminal) => {
      printMessage(terminal, message({ exchange: evil, body: evil, properties }));
    });
    expect(lines.join('')).not.toContain('\u001b');
    expect(lines).toContain('  \\x1b[2J: \\x1b[2J');
  });

  it.each<[Partial<DeadLetter>, string]>([
    [{}, '(no id) · unknown'],
    [{ messageId: 'm1', reason: 'expired', queue: 'orders' }, 'm1 · expired in orders'],
    [{ error: { name: 'PriceMissing', message: 'no price' } }, '(no id) · unknown · PriceMissing: no price'],
    [{ diedAt: new Date(Date.now() - 3 * 86_400_000) }, '(no id) · unknown · 3 d ago'],
    [{ attempts: 1 }, '(no id) · unknown · 1 attempt'],
    [{ attempts: 2 }, '(no id) · unknown · 2 attempts'],
    [{ replays: 1 }, '(no id) · unknown · replayed 1 time'],
    [{ replays: 2 }, '(no id) · unknown · replayed 2 times'],
  ])('%j of a dead letter is %j', (facts, head) => {
    expect(
      printed((terminal) => {
        printLetter(terminal, letter(facts));
      }),
    ).toEqual([head, 'text', '']);
  });
});

describe('groups of letters', () => {
  const group = { reason: 'rejected', queue: 'orders', error: undefined, type: undefined, count: 2, bytes: 8 };
  const dates = { oldest: undefined, newest: undefined, example: undefined };
  const look = (facts: Partial<DeadLetterGroups> = {}): DeadLetterGroups => ({
    found: 2,
    read: 2,
    matched: 2,
    groups: [{ ...group, ...dates }],
    others: 0,
    highestCount: 0,
    ...facts,
  });
  const lines = (facts?: Partial<DeadLetterGroups>): readonly string[] =>
    printed((terminal) => {
      printGroups(terminal, 'orders.dead', look(facts));
    });

  it('are a table below what was read', () => {
    expect(lines()).toEqual([
      'orders.dead: 2 letters read; 2 match',
      '',
      'COUNT  FAILED IN  REASON    TYPE  OLDEST  NEWEST  EXAMPLE  ERROR',
      '2      orders     rejected        –       –                (no error header)',
    ]);
  });

  it('have all that is known of them, without control characters', () => {
    const error = { name: 'Bad\u0007', message: 'price' };
    const [oldest, newest] = [new Date(Date.now() - 7_200_000), new Date(Date.now() - 600_000)];
    const known = { ...group, type: 'order\u0007', count: 1234, error, oldest, newest, example: 'm\u0007' };
    const others = { ...group, queue: undefined, ...dates };
    expect(lines({ groups: [known, others] }).slice(3)).toEqual([
      '1 234  orders     rejected  order\\x07  2 h     10 min  m\\x07    Bad\\x07: price',
      '2      ?          rejected             –       –                (no error header)',
    ]);
  });

  it('are of a part of the queue, where it was read in part', () => {
    expect(lines({ found: 12_345, read: 1000, matched: 7, others: 1 })).toMatchObject({
      0: 'orders.dead: 1 000 letters read, the oldest of 12 345; 7 match',
      4: 'and 1 letter in further groups',
    });
  });

  it('are no table, where none match', () => {
    expect(lines({ found: 1, read: 1, matched: 0, groups: [] })).toEqual(['orders.dead: 1 letter read; 0 match']);
  });
});

describe('what was done with letters', () => {
  const nothing = { noOrigin: 0, unroutable: 0, refused: 0 };
  const report = (facts: Partial<DeadLetterReport> = {}): DeadLetterReport => ({
    found: 5,
    read: 5,
    matched: 3,
    done: 3,
    kept: nothing,
    targets: {},
    ...facts,
  });
  const lines = (facts?: Partial<DeadLetterReport>, dryRun = false): readonly string[] =>
    printed((terminal) => {
      printReport(terminal, 'replayed', report(facts), dryRun);
    });

  it.each<[Partial<DeadLetterReport>, boolean, string]>([
    [{}, false, 'replayed: 3 of 3 that match'],
    [{}, true, 'would have been replayed: 3 of 3 that match'],
    [{ found: 5000 }, false, 'replayed: 3 of 3 that match; 5 of 5 000 read'],
  ])('%j (dry run: %s) is %j', (facts, dryRun, text) => {
    expect(lines(facts, dryRun)).toEqual([text]);
  });

  it('says where they went, how many stayed and why, and what was wrong', () => {
    const targets = { 'queue orders': 1000, 'queue \u0007': 1 };
    const kept = { noOrigin: 1, unroutable: 2, refused: 3 };
    expect(lines({ targets, kept, problem: 'no \u0007 queue' }).slice(1)).toEqual([
      '  1 000 to queue orders',
      '  1 to queue \\x07',
      '  1 stayed: they say nothing of where they failed: name a place with --to',
      '  2 stayed: they are for a queue that does not exist',
      '  3 stayed: they were refused',
      '  no \\x07 queue',
    ]);
    expect(lines({ kept: { ...nothing, refused: 1 } })).toHaveLength(2);
  });

  it.each([
    ['aborted', 'interrupted: the rest is in its queue, untouched'],
    ['delivery-limit', 'ended early at a letter that is near its delivery limit; see --help'],
  ] as const)('says that it was stopped: %s', (stopped, text) => {
    expect(lines({ stopped }).slice(1)).toEqual([text]);
  });
});
