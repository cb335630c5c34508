// The documentation site: `npm run docs` builds it into docs/.
import { readFileSync } from 'node:fs';
import { env } from 'node:process';
import { URL } from 'node:url';
import { defineConfig } from 'vitepress';
import { anchorOf } from '../anchors.ts';

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const { homepage, repository, version, description } = read('../../../package.json');
const { groups, api } = read('../pages/sidebar.json');
// Below the path of `homepage`, unless this build is for another place.
const base = env.DOCS_BASE ?? new URL(homepage).pathname;
const github = repository.url.replace(/^git\+|\.git$/g, '');

export default defineConfig({
  lang: 'en',
  title: 'instance-queue',
  description,
  base,
  srcDir: 'pages',
  outDir: '../../docs',
  cacheDir: '.vitepress/cache',
  lastUpdated: false,
  metaChunk: true,
  head: [['link', { rel: 'icon', href: `${base}icon.svg` }]],
  markdown: {
    anchor: { slugify: anchorOf },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
  },
  themeConfig: {
    logo: '/icon.svg',
    search: { provider: 'local' },
    outline: { level: [2, 3] },
    nav: [
      { text: 'Guides', link: '/guides/getting-started', activeMatch: '^/guides/' },
      { text: 'Reference', link: '/api/', activeMatch: '^/api/' },
      { text: `v${version}`, link: '/changelog' },
    ],
    sidebar: { '/guides/': groups, '/changelog': groups, '/api/': api },
    socialLinks: [{ icon: 'github', link: github }],
    footer: { message: 'MIT licence' },
  },
});
