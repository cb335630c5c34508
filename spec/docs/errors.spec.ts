import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { PublishError } from 'instance-queue';
import { RETRYABLE, type ErrorCode } from '../../lib/errors';
import { root } from '../support/compiler';
import { anchorsOf, documents } from './documents';

const PATH = 'demo/guides/errors.md';
const { text } = documents.find(({ path }) => path === PATH)!;
const sections = new Map(
  text
    .split(/^## /m)
    .slice(1)
    .map((section): [string, string] => {
      const [heading = '', ...lines] = section.split('\n');
      return [heading, lines.join('\n')];
    }),
);
const codes = Object.keys(RETRYABLE) as ErrorCode[];

describe('the guide to errors', () => {
  it('has a section for each code, and a code for each section', () => {
    expect([...sections.keys()].sort()).toEqual([...codes].sort());
  });

  it.each(codes)('says of %s what happened, why, and what to do', (code) => {
    const section = sections.get(code) ?? '';
    for (const part of ['What happened.', 'Why.', 'What to do.']) expect(section).toMatch(`**${part}** `);
  });
});

describe('an error leads to its section', () => {
  const error = new PublishError('PUBLISH_RETURNED', 'id-1', 'No.');

  it('by its page on the documentation site and the heading in it', () => {
    const { homepage } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { homepage: string };
    expect(error.help).toBe(`${homepage}guides/errors.html#publish_returned`);
    expect(anchorsOf(text)).toContain('publish_returned');
  });

  it('also where only its print is left: on the console, and in a log', () => {
    expect(inspect(error)).toContain(error.help);
    const lines: string[] = [];
    pino({}, { write: (line: string) => void lines.push(line) }).warn({ err: error }, 'returned');
    expect(lines.join('')).toContain(error.help);
  });
});
