import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { anchorOf } from '../../demo/site/anchors';
import { GUIDES } from '../../demo/site/guides';
import { brokenLinks } from '../../demo/site/links';
import { guidesBySymbol, linkSymbols, symbolsOf } from '../../demo/site/symbols';
import { anchorsOf, documents } from './documents';

it('the sidebar has each guide once', () => {
  const files = documents.flatMap(({ path }) => /^demo\/guides\/([\w-]+)\.md$/.exec(path)?.[1] ?? []);
  expect(Object.values(GUIDES).flat().sort()).toEqual(files.sort());
});

it('headings have the same ids on the site as in links within the guides', () => {
  for (const { text } of documents) {
    const prose = text.replace(/^(`{3,}).*?^\1/gms, '');
    const ids = [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading!));
    expect(new Set(ids)).toEqual(anchorsOf(text));
  }
});

describe('the links of a built site', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'instance-queue-site-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const check = (pages: Readonly<Record<string, string>>): string[] => {
    for (const [path, html] of Object.entries(pages)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), html);
    }
    return brokenLinks(folder, '/base/').map(({ page, link, why }) => `${page} ${link} ${why}`);
  };

  it('may lead to a page, a folder, a heading, a file, and elsewhere', () => {
    const links = [
      'guide',
      'guide.html#a-b',
      '/base/api/',
      '#here',
      'x.png',
      'https://elsewhere.example/',
      'mailto:a@b.example',
    ];
    const html = links.map((link) => `<a class="x" href="${link}">x</a>`).join('\n');
    expect(
      check({
        'index.html': `${html}<h2 id="here">Here</h2>`,
        'guide.html': '<h2 id="a-b">A b</h2>',
        'api/index.html': '<a href="../guide.html">up</a>',
        'x.png': '',
      }),
    ).toEqual([]);
  });

  it('are broken where they lead to no page, to no heading, or out of the site', () => {
    expect(
      check({
        'index.html':
          '<a href="gone.html">1</a><a href="guide.html#gone">2</a><a href="/other/">3</a><img src="gone.png">',
        'guide.html': '<h2 id="here">Here</h2><a href="#gone">4</a>',
      }),
    ).toEqual([
      'guide.html #gone no such heading',
      'index.html gone.html no such page',
      'index.html guide.html#gone no such heading',
      'index.html /other/ outside of the site',
      'index.html gone.png no such page',
    ]);
  });
});

describe('guides and reference', () => {
  const symbols = symbolsOf([
    {
      text: 'instance-queue',
      link: '/api/',
      items: [{ text: 'InstanceQueue', link: '/api/classes/InstanceQueue.md' }],
    },
    { text: 'consume', link: '/api/functions/consume.md' },
  ]);

  it('the first mention of a symbol in a section becomes a link; code, tables, headings and links stay', () => {
    const text = ['`InstanceQueue`, `InstanceQueue`', '```ts', '`InstanceQueue`', '```', '## `InstanceQueue`'];
    const rest = ['| `InstanceQueue` |', '[`InstanceQueue`](x) `consume`', 'an `InstanceQueue`'];
    expect(linkSymbols([...text, ...rest].join('\n'), symbols).split('\n')).toEqual([
      '[`InstanceQueue`](/api/classes/InstanceQueue.md), `InstanceQueue`',
      ...text.slice(1),
      ...rest.slice(0, 2),
      'an [`InstanceQueue`](/api/classes/InstanceQueue.md)',
    ]);
  });

  it('a page of the reference names the guides that speak of it most', () => {
    const guides = new Map([
      ['a', '`InstanceQueue`'],
      ['b', '`InstanceQueue` `InstanceQueue`'],
      ['c', '```ts\n`InstanceQueue`\n```'],
    ]);
    expect(guidesBySymbol(guides, symbols).get('InstanceQueue')).toEqual(['b', 'a']);
  });
});
