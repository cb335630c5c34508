/** The last step of `npm run docs`: every link of the site leads to a page, and to a heading in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brokenLinks, describe, pagesIn } from './links';

const root = join(__dirname, '..', '..');
const { homepage } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly homepage: string };
const site = join(root, 'docs');
const broken = brokenLinks(site, process.env['DOCS_BASE'] ?? new URL(homepage).pathname);
if (broken.length > 0) {
  process.exitCode = 1;
  console.error(`Broken links:\n${broken.map(describe).join('\n')}`);
} else console.log(`docs/: ${String(pagesIn(site))} pages, every link leads somewhere.`);
