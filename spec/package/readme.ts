/**
 * Registries show README.md alone, where relative links lead nowhere: `prepack` makes them absolute for the tarball, and
 * `postpack` makes them relative again. The two are inverse to each other, so a run that was cut short is undone by another one.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIELDS, filesOf } from './project';

const root = join(__dirname, '..', '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
const { shown, raw } = filesOf(version);
const GUIDES = `${FIELDS.homepage}guides/`;

/** Guides are pages of the site, pictures are served as bytes, and other files are shown by GitHub. */
const RULES: readonly (readonly [relative: RegExp, absolute: (path: string) => string])[] = [
  [/^demo\/guides\/([\w-]+)\.md(#.*)?$/, (path) => path.replace(/^demo\/guides\/([\w-]+)\.md/, `${GUIDES}$1.html`)],
  [/\.png$/, (path) => raw + path],
  [/./, (path) => shown + path],
];

/** Every target of a link, a picture or a `<source>`, replaced by what `change` gives. */
function withTargets(text: string, change: (target: string) => string): string {
  return text.replace(
    /(\]\(|\b(?:src|srcset|href)=")([^)"\s]+)/g,
    (_, before: string, target: string) => before + change(target),
  );
}

/** Leaves links within the page and addresses as they are. */
export function absolute(text: string): string {
  return withTargets(text, (target) => {
    if (/^(#|[a-z]+:)/.test(target)) return target;
    const [, make] = RULES.find(([relative]) => relative.test(target))!;
    return make(target);
  });
}

/** Undoes `absolute`. */
export function relative(text: string): string {
  return withTargets(text, (target) => {
    const base = [shown, raw].find((start) => target.startsWith(start));
    if (base !== undefined) return target.slice(base.length);
    const [, guide, anchor = ''] = target.startsWith(GUIDES)
      ? (/^([\w-]+)\.html(#.*)?$/.exec(target.slice(GUIDES.length)) ?? [])
      : [];
    return guide === undefined ? target : `demo/guides/${guide}.md${anchor}`;
  });
}

if (require.main === module) {
  const path = join(root, 'README.md');
  const change = process.argv.includes('--restore') ? relative : absolute;
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}
