import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { env } from 'node:process';

const { size, seed, survivors } = JSON.parse(env.MUTATION_SAMPLE ?? '{}');

/** The folder of `lib/` that a file is in; the wire room counts by itself. */
export const roomOf = (file) => /lib\/(amqp\/wire|[^/]+(?=\/))/.exec(file)?.[1] ?? 'lib';

/** A mutant stays the same one while its file does. */
export const nameOf = ({ fileName, location: { start, end }, replacement }) =>
  `${fileName.slice(fileName.lastIndexOf('lib/'))} ${start.line}:${start.column}-${end.line}:${end.column} ${replacement}`;

/**
 * Tests a sample: so many mutants of each room, chosen by a seed; or those again that a file of survivors names.
 * Stryker asks a checker which mutants compile; those outside the sample are said not to, so that no score counts them.
 */
class SampleChecker {
  #chosen = new Set();

  async init() {}

  group(mutants) {
    if (survivors) this.#chosen = new Set(JSON.parse(readFileSync(survivors, 'utf8')));
    else {
      const place = (name) => createHash('sha1').update(seed).update(name).digest('hex');
      const shuffled = mutants.map((mutant) => [place(nameOf(mutant)), mutant]).sort(([a], [b]) => (a < b ? -1 : 1));
      const left = {};
      for (const [, mutant] of shuffled) {
        const room = roomOf(mutant.fileName);
        left[room] ??= Number(size);
        if (left[room]-- > 0) this.#chosen.add(nameOf(mutant));
      }
    }
    return [mutants.map(({ id }) => id)];
  }

  async check(mutants) {
    const verdict = (mutant) =>
      this.#chosen.has(nameOf(mutant)) ? { status: 'passed' } : { status: 'compileError', reason: 'not in the sample' };
    return Object.fromEntries(mutants.map((mutant) => [mutant.id, verdict(mutant)]));
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.Checker, 'sample', SampleChecker)];
