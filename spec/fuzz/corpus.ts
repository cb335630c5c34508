import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Inputs that reach different code, and those that once showed a fault. A folder for each target. */
export const CORPUS = join(__dirname, 'corpus');

export function corpusOf(target: string): readonly Buffer[] {
  const folder = join(CORPUS, target);
  return existsSync(folder)
    ? readdirSync(folder)
        .sort()
        .map((name) => readFileSync(join(folder, name)))
    : [];
}
