/**
 * The first half of `npm run docs`, behind typedoc: lays the pages of the site out in `pages/`, from the README, the guides and
 * the reference, with links between guides and reference in both directions.
 */
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GUIDES } from './guides';
import { guidesBySymbol, linkSymbols, symbolsOf, type SidebarItem } from './symbols';

const root = join(__dirname, '..', '..');
const pages = join(__dirname, 'pages');
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');
const write = (path: string, text: string): void => {
  writeFileSync(join(pages, path), text);
};
const { repository } = JSON.parse(read('package.json')) as { readonly repository: { readonly url: string } };
const FILES = `${repository.url.replace(/^git\+|\.git$/g, '')}/blob/main/`;

const sidebar = JSON.parse(readFileSync(join(pages, 'api', 'typedoc-sidebar.json'), 'utf8')) as readonly SidebarItem[];
const symbols = symbolsOf(sidebar);
const guides = new Map(
  readdirSync(join(root, 'demo', 'guides'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => [file.slice(0, -3), read('demo', 'guides', file)]),
);
const titleOf = (guide: string): string => /^# (.*)$/m.exec(guides.get(guide) ?? '')?.[1] ?? guide;

/** On the site, the reader chooses between light and dark: a picture is there twice. */
function themed(text: string): string {
  return text.replace(/<picture>[\s\S]*?<\/picture>/g, (picture) => {
    const alt = /alt="([^"]*)"/.exec(picture)?.[1] ?? '';
    const image = (scheme: string): string =>
      `<img class="${scheme}-only" src="/dashboard-${scheme}.png" alt="${alt}" />`;
    return `${image('light')}${image('dark')}`;
  });
}

/** Links to other files of the project lead to their pages, or to GitHub. */
function placed(text: string, folder: string): string {
  return text.replace(/(\]\()(?![a-z]+:|#)([^)#\s]+)/g, (_, before: string, target: string) => {
    const path = join(folder, target).replaceAll('\\', '/');
    if (path === 'README.md') return `${before}/`;
    if (path === 'CHANGELOG.md') return `${before}/changelog.md`;
    const [, guide] = /^demo\/guides\/([\w-]+)\.md$/.exec(path) ?? [];
    return before + (guide === undefined ? FILES + path : `/guides/${guide}.md`);
  });
}

for (const folder of ['guides', 'public']) mkdirSync(join(pages, folder), { recursive: true });
copyFileSync(join(root, 'lib', 'dashboard', 'page', 'icon.svg'), join(pages, 'public', 'icon.svg'));
for (const scheme of ['light', 'dark']) {
  copyFileSync(join(root, 'demo', `dashboard-${scheme}.png`), join(pages, 'public', `dashboard-${scheme}.png`));
}
for (const [name, text] of guides)
  write(`guides/${name}.md`, linkSymbols(placed(themed(text), 'demo/guides'), symbols));
write('changelog.md', read('CHANGELOG.md'));

/** The start page: what is above the first heading of the README becomes the hero, the sections follow. */
const readme = read('README.md');
const section = (heading: string): string => {
  const [, body = ''] = readme.split(`\n## ${heading}\n`);
  return `## ${heading}\n${body.split(/\n## /)[0] ?? ''}`;
};
const [picture = ''] = /<picture>[\s\S]*?<\/picture>/.exec(readme) ?? [];
const home = readFileSync(join(__dirname, 'home.md'), 'utf8');
const sections = ['Install', 'First message', 'How it compares', 'Which call do I use?'].map(section).join('\n');
write('index.md', `${home}\n${themed(picture)}\n\n${linkSymbols(placed(sections, ''), symbols)}`);

/** The entry points with their first sentences, in the place of typedoc's bare list. */
const modules = readFileSync(join(pages, 'api', 'index.md'), 'utf8').matchAll(/^- \[(.+)\]\((.+)\)$/gm);
const entries = [...modules].map(([, name = '', path = '']) => {
  const [, sentence = ''] = /^# .*\n+([^#\n].*)$/m.exec(readFileSync(join(pages, 'api', path), 'utf8')) ?? [];
  return `| [\`${name}\`](${path}) | ${sentence} |`;
});
const head =
  '# Reference\n\nEverything that the package exports, by entry point.\n\n| import from | what it is |\n| --- | --- |';
write('api/index.md', `${head}\n${entries.join('\n')}\n`);

for (const [symbol, mentioned] of guidesBySymbol(guides, symbols)) {
  const file = symbols.get(symbol);
  if (file === undefined) continue;
  const list = mentioned.map((guide) => `[${titleOf(guide)}](/guides/${guide}.md)`).join(' · ');
  const path = join(pages, file);
  writeFileSync(path, `${readFileSync(path, 'utf8')}\n## Guides\n\n${list}\n`);
}

const groups = Object.entries(GUIDES).map(([text, names]) => ({
  text,
  items: names.map((name) => ({ text: titleOf(name), link: `/guides/${name}` })),
}));
// Open at its first level: otherwise the start of the reference shows one row.
const api = sidebar.map((item) => ({ ...item, collapsed: false }));
write('sidebar.json', JSON.stringify({ groups, api }));
