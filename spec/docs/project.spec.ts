import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/compiler';
import { FIELDS, derived, filesOf } from '../package/project';
import { absolute, relative } from '../package/readme';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

it.each([...derived(root)])('%s names the owner that spec/package/project.ts names', (path, text) => {
  expect(read(path)).toBe(text);
});

describe('the README of the tarball', () => {
  const readme = read('README.md');
  const packed = absolute(readme);
  const targets = (text: string): string[] =>
    [...text.matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset|href)="([^"]+)"/g)].map(([, link, source]) => link ?? source!);

  it('has absolute links only, but for those within the page', () => {
    expect(targets(packed).length).toBeGreaterThan(20);
    expect(targets(packed).filter((target) => !/^(https:|#)/.test(target))).toEqual([]);
  });

  it('links guides to the site, and pictures to their bytes', () => {
    expect(packed).toContain(`](${FIELDS.homepage}guides/errors.html)`);
    const { raw } = filesOf((JSON.parse(read('package.json')) as { version: string }).version);
    const pictures = targets(packed).filter((target) => target.endsWith('.png'));
    for (const picture of pictures) {
      expect(picture.startsWith(raw)).toBe(true);
      expect(existsSync(join(root, picture.slice(raw.length)))).toBe(true);
    }
  });

  it('is made from the README of the checkout, and back', () => {
    expect(relative(packed)).toBe(readme);
    expect(relative(readme)).toBe(readme);
    expect(absolute(packed)).toBe(packed);
  });
});
