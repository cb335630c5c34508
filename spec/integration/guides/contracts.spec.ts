import { randomBytes } from 'node:crypto';
import type { Codec } from 'instance-queue';
import { packBody } from '../../../lib/codec';
import { runRecipe } from '../../support/guides/run-recipe';

const GUIDE = 'demo/guides/contracts.md';

it('an encrypted body is read with its key alone, and may be compressed inside', async () => {
  const { letters } = await runRecipe<{ letters: (key: Buffer) => Codec<string> }>(GUIDE, 'function encrypted');
  const [key, other] = [randomBytes(32), randomBytes(32)];
  for (const body of ['short', 'long '.repeat(1000)]) {
    const { content, contentEncoding } = packBody(letters(key), body);
    const properties = contentEncoding === undefined ? {} : { contentEncoding };
    expect(contentEncoding).toBe(body === 'short' ? undefined : 'gzip');
    expect(content.toString()).not.toContain(body);
    expect(letters(key).decode(content, properties)).toBe(body);
    expect(() => letters(other).decode(content, properties)).toThrow();
  }
});
