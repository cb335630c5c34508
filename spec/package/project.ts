/**
 * Who owns the project. The owner sets `REPOSITORY` and runs `npm run project`, which writes everything that is derived from
 * it: four fields of package.json, and the address in `error.help`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** `owner/name` on GitHub. No account can have the name of the placeholder. */
export const REPOSITORY = '__OWNER__/instance-queue';

const [OWNER = '', NAME = ''] = REPOSITORY.split('/');
const GITHUB = `https://github.com/${REPOSITORY}`;

/** The fields of package.json that follow from it. `homepage` is the documentation site on GitHub Pages. */
export const FIELDS = {
  author: `${OWNER} (https://github.com/${OWNER})`,
  homepage: `https://${OWNER.toLowerCase()}.github.io/${NAME}/`,
  repository: { type: 'git', url: `git+${GITHUB}.git` },
  bugs: { url: `${GITHUB}/issues` },
} as const;

/** Files of a release as GitHub shows them, and as it serves their bytes. */
export const filesOf = (version: string): { readonly shown: string; readonly raw: string } => ({
  shown: `${GITHUB}/blob/v${version}/`,
  raw: `https://raw.githubusercontent.com/${REPOSITORY}/v${version}/`,
});

/** The texts that name the owner, by path, as they have to be. */
export function derived(root: string): ReadonlyMap<string, string> {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const { name, version, description, keywords, ...rest } = JSON.parse(read('package.json')) as Record<string, unknown>;
  const others = Object.entries(rest).filter(([field]) => !(field in FIELDS));
  const manifest = { name, version, description, keywords, ...FIELDS, ...Object.fromEntries(others) };
  return new Map([
    ['package.json', `${JSON.stringify(manifest, undefined, 2)}\n`],
    ['lib/errors.ts', read('lib/errors.ts').replace(/(?<=^const SITE = ').*(?=';$)/m, FIELDS.homepage)],
  ]);
}

if (require.main === module) {
  const root = join(__dirname, '..', '..');
  for (const [path, text] of derived(root)) writeFileSync(join(root, path), text);
}
