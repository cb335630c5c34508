/** The last step of `npm run docs`: every link of the site, and `help` of every error, leads to a page, and to a heading in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokenLinks, describe, pagesIn } from './links';

const root = join(__dirname, '..', '..');
const { homepage } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly homepage: string };
const site = join(root, 'docs');
const broken = brokenLinks(site, process.env['DOCS_BASE'] ?? new URL(homepage).pathname);
const errors = readFileSync(join(site, 'guides', 'errors.html'), 'utf8');
const guide = readFileSync(join(root, 'demo', 'guides', 'errors.md'), 'utf8');
const codes = [...guide.matchAll(/^## ([A-Z_]+)$/gm)].map(([, code = '']) => code);
const unexplained = codes.filter((code) => !errors.includes(` id="${code.toLowerCase()}"`));
const faults = [...broken.map(describe), ...unexplained.map((code) => `guides/errors.html: no heading for ${code}`)];
if (faults.length > 0) {
  process.exitCode = 1;
  console.error(`Broken links:\n${faults.join('\n')}`);
} else console.log(`docs/: ${String(pagesIn(site))} pages, every link leads somewhere.`);
