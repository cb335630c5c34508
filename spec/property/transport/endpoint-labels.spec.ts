import fc from 'fast-check';
import { parseEndpoint } from '../../../lib/transport/endpoints';
import { connectFailed, connectionLost } from '../../../lib/amqp/amqp-errors';
import { OptionsError } from '../../../lib/errors';

/** A password is told from everything else by its beginning. */
const password = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).map((tail) => `xq9z${tail}`);
const host = fc.oneof(
  fc.domain(),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
);
const vhost = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((name) => name !== '.' && name !== '..');
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
const url = fc.record({
  protocol: fc.constantFrom('amqp', 'amqps'),
  username: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  password,
  host,
  port,
  vhost,
});
const written = (part: string): string => encodeURIComponent(part);
type Parts = typeof url extends fc.Arbitrary<infer T> ? T : never;
const whole = ({ protocol, username, password: word, host: at, port: number, vhost: path }: Parts): string =>
  `${protocol}://${written(username)}:${written(word)}@${at}${number === undefined ? '' : `:${String(number)}`}/${written(path)}`;

describe('an endpoint', () => {
  it('is read from any URL: what was written into it comes out', () => {
    fc.assert(
      fc.property(url, (parts) => {
        const { username, password: word, vhost: name, protocol, port: number } = parts;
        expect(parseEndpoint(whole(parts))).toMatchObject({
          username,
          password: word,
          protocol,
          vhost: name === '' ? '/' : name,
          port: number ?? (protocol === 'amqps' ? 5671 : 5672),
        });
      }),
    );
  });

  it('has a label, and errors about it have sentences, without the credentials', () => {
    fc.assert(
      fc.property(url, (parts) => {
        const { label } = parseEndpoint(whole(parts));
        const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
        for (const text of [label, connectFailed(label, cause).message, connectionLost(label, cause).message]) {
          expect(text).not.toMatch(/xq9z/i);
        }
      }),
    );
  });

  it('that is refused is refused without the credentials, wherever the URL is broken', () => {
    const broken = fc.constantFrom<(text: string) => string>(
      (text) => text.replace('amqp', 'http'),
      (text) => text.replace(/@[^/]*/, '@'),
      (text) => text.replace(/@[^/]*/, '@two words'),
      (text) => text.replace(/@[^/]*/, '@host:port'),
      (text) => text.replace('://', ':'),
      (text) => text.replace(/^\w+:\/\//, ''),
      (text) => text.replace('://', ':////'),
      (text) => `${text}%zz`,
      (text) => `${text}?unknown=1`,
      (text) => `${text}?heartbeat=x`,
      (text) => text.replace(/@.*$/, ''),
      (text) => ` ${text}\n`.replace('@', ' @ '),
    );
    fc.assert(
      fc.property(url, broken, (parts, breakIt) => {
        try {
          parseEndpoint(breakIt(whole(parts)));
        } catch (error) {
          expect(error).toBeInstanceOf(OptionsError);
          const { message, stack = '' } = error as OptionsError;
          expect(message).not.toMatch(/xq9z/i);
          expect(stack).not.toMatch(/xq9z/i);
        }
      }),
      { numRuns: 500 },
    );
  });
});
