import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** A link that leads nowhere. */
export interface BrokenLink {
  readonly page: string;
  readonly link: string;
  readonly why: 'no such page' | 'no such heading' | 'outside of the site';
}

const NOT_OURS = /^(?:https?:|mailto:|data:|javascript:|\/\/)/;
const unescaped = (text: string): string =>
  text
    .replaceAll('&#x27;', "'")
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
const decoded = (text: string): string => decodeURIComponent(unescaped(text));

/** Every link within a built site that does not lead to a page, or not to a heading in it. `base` is where the site lives. */
export function brokenLinks(folder: string, base: string): readonly BrokenLink[] {
  const pages = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.html'));
  const known = new Map<string, ReadonlySet<string>>();
  const anchorsOf = (path: string): ReadonlySet<string> => {
    const ids =
      known.get(path) ??
      new Set([...readFileSync(path, 'utf8').matchAll(/\sid="([^"]*)"/g)].map(([, id = '']) => decoded(id)));
    known.set(path, ids);
    return ids;
  };
  return pages.flatMap((page) => {
    const html = readFileSync(join(folder, page), 'utf8').replace(/<script[\s\S]*?<\/script>/g, '');
    const links = new Set(
      [...html.matchAll(/<(?:a|img|source|link)\s[^>]*?\b(?:href|src|srcset)="([^"]*)"/g)].map(([, link = '']) => link),
    );
    return [...links].flatMap((link): BrokenLink[] => {
      if (NOT_OURS.test(link)) return [];
      const url = new URL(unescaped(link), `http://site${base}${page}`);
      if (!url.pathname.startsWith(base)) return [{ page, link, why: 'outside of the site' }];
      const target = fileOf(join(folder, decodeURIComponent(url.pathname.slice(base.length))));
      if (target === undefined) return [{ page, link, why: 'no such page' }];
      const anchor = decodeURIComponent(url.hash.slice(1));
      if (anchor === '' || !target.endsWith('.html') || anchorsOf(target).has(anchor)) return [];
      return [{ page, link, why: 'no such heading' }];
    });
  });
}

/** How many pages a site has. */
export const pagesIn = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.html')).length;

/** What a static server answers with. */
function fileOf(path: string): string | undefined {
  return [path, join(path, 'index.html'), `${path}.html`].find((one) => existsSync(one) && statSync(one).isFile());
}

/** For people: one line each. */
export const describe = ({ page, link, why }: BrokenLink): string => `${relative('.', page)}: ${link} (${why})`;
