import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/compiler';

/** A text that users read. */
export interface Document {
  /** Relative to the project. */
  readonly path: string;
  readonly text: string;
}

/** README.md, the guides, and what contributors read. */
export const documents: readonly Document[] = [
  'README.md',
  '.github/CONTRIBUTING.md',
  ...readdirSync(join(root, 'demo', 'guides'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `demo/guides/${name}`),
].map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

/** What `#…` leads to in a text: its headings, as they are named in links. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const prose = text.replace(/^(`{3,}).*?^\1/gms, '');
  const headings = [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
