import { of } from 'rxjs';
import { auto } from '../../lib/codec';
import { OptionsError } from '../../lib/errors';
import * as options from '../../lib/options';
import { logger } from '../../lib/log';

/** The sentence with which `check` refuses a value as the option `x`. */
function refusal(check: options.Check, value: unknown): string | undefined {
  try {
    options.checkOptions({ x: value }, { x: check }, { of: 'a test' });
  } catch (error) {
    if (error instanceof OptionsError) return error.message;
    throw error;
  }
  return undefined;
}

/** Does what a signal does, as polyfills do. */
const LISTENING = { aborted: false, addEventListener: () => undefined, removeEventListener: () => undefined };

const WRONG: readonly (readonly [options.Check, unknown, string])[] = [
  [options.integer(1, 65_535), 0, 'an integer from 1 to 65535, got `0` (number).'],
  [options.integer(1, 65_535), '20', 'an integer from 1 to 65535, got `20` (string).'],
  [options.integer(1, 65_535), 1.5, 'an integer from 1 to 65535, got `1.5` (number).'],
  [options.integer(1, 65_535), NaN, 'an integer from 1 to 65535, got `NaN` (number).'],
  [options.countFrom(1), 0, 'an integer of at least 1, or Infinity, got `0` (number).'],
  [options.countFrom(1), 1.5, 'an integer of at least 1, or Infinity, got `1.5` (number).'],
  [options.number(0, 1), 1.1, 'a number from 0 to 1, got `1.1` (number).'],
  [options.duration(), -1, 'a number of milliseconds from 0 to 2147483647, got `-1` (number).'],
  [options.duration(), Infinity, 'a number of milliseconds from 0 to 2147483647, got `Infinity` (number).'],
  [options.duration(1), 2 ** 31, 'a number of milliseconds from 1 to 2147483647, got `2147483648` (number).'],
  [options.heartbeat, 10_000, 'a whole number of seconds from 0 to 600, got `10000` (number).'],
  [options.heartbeat, 0.5, 'a whole number of seconds from 0 to 600, got `0.5` (number).'],
  [options.heartbeat, -1, 'a whole number of seconds from 0 to 600, got `-1` (number).'],
  [options.heartbeat, 601, 'a whole number of seconds from 0 to 600, got `601` (number).'],
  [options.heartbeat, '10', 'a whole number of seconds from 0 to 600, got `10` (string).'],
  [options.duration(), '5', 'a number of milliseconds from 0 to 2147483647, got `5` (string).'],
  [options.duration(), NaN, 'a number of milliseconds from 0 to 2147483647, got `NaN` (number).'],
  [options.duration(1), 0.5, 'a number of milliseconds from 1 to 2147483647, got `0.5` (number).'],
  [options.countFrom(1), '1', 'an integer of at least 1, or Infinity, got `1` (string).'],
  [options.countFrom(1), -Infinity, 'an integer of at least 1, or Infinity, got `-Infinity` (number).'],
  [options.number(0, 1), -0.1, 'a number from 0 to 1, got `-0.1` (number).'],
  [options.number(0, 1), '0.5', 'a number from 0 to 1, got `0.5` (string).'],
  [options.boolean, 'yes', 'true or false, got `yes` (string).'],
  [options.string, 5n, 'a string, got `5` (bigint).'],
  [options.oneOf('a', 'b'), 'c', "one of 'a', 'b', got `c` (string)."],
  [options.oneOf('5', 'b'), 5, "one of '5', 'b', got `5` (number)."],
  [options.object, [], 'an object, got an array.'],
  [options.object, null, 'an object, got `null`.'],
  [options.object, Buffer.from('x'), 'an object, got an object.'],
  [options.func, {}, 'a function, got an object.'],
  [options.list, {}, 'an array, got an object.'],
  [options.date, new Date(NaN), 'a valid Date, got an object.'],
  [options.date, new Date(-1), 'a Date from 1970 on, got an object.'],
  [options.date, '2020-01-01', 'a valid Date, got `2020-01-01` (string).'],
  [options.observableInput, null, 'an Observable, a Promise or an iterable, got `null`.'],
  [options.observableInput, 'text', 'an Observable, a Promise or an iterable, got `text` (string).'],
  [options.observableInput, { then: 5 }, 'an Observable, a Promise or an iterable, got an object.'],
  [options.observableInput, 5, 'an Observable, a Promise or an iterable, got `5` (number).'],
  [options.abortSignal, new AbortController(), 'an AbortSignal, got an object.'],
  [options.abortSignal, null, 'an AbortSignal, got `null`.'],
  [options.abortSignal, { aborted: false }, 'an AbortSignal, got an object.'],
  [options.abortSignal, { ...LISTENING, removeEventListener: undefined }, 'an AbortSignal, got an object.'],
  [options.abortSignal, { ...LISTENING, aborted: 'no' }, 'an AbortSignal, got an object.'],
  [options.entityName, 'a\nb', 'a name without line breaks, which RabbitMQ would leave out, got `a\nb` (string).'],
  [options.entityName, 'a\rb', 'a name without line breaks, which RabbitMQ would leave out, got `a\rb` (string).'],
  [options.entityName, 5, 'a string of at most 255 bytes of UTF-8, got `5` (number).'],
  [options.shortString(218), 'é'.repeat(110), 'a string of at most 218 bytes of UTF-8, got a string of 220 bytes.'],
  [options.shortString(), Symbol('x'), 'a string of at most 255 bytes of UTF-8, got a symbol.'],
  [options.codec, { encode: () => '' }, 'a codec with `contentType`, `encode` and `decode`, got an object.'],
  [options.codec, { ...auto, contentType: 5 }, 'a codec with `contentType`, `encode` and `decode`, got an object.'],
  [options.codec, { ...auto, encode: 5 }, 'a codec with `contentType`, `encode` and `decode`, got an object.'],
  [options.codec, { ...auto, decode: 5 }, 'a codec with `contentType`, `encode` and `decode`, got an object.'],
  [options.either(options.string, options.list), 5, 'a string, or an array, got `5` (number).'],
  [
    logger,
    'loud',
    'one of fatal, error, warn, info, debug, trace, silent, a logger with debug, info (or log), warn and error, or a function, got `loud` (string).',
  ],
  [
    logger,
    { info: () => undefined },
    'one of fatal, error, warn, info, debug, trace, silent, a logger with debug, info (or log), warn and error, or a function, got an object.',
  ],
];

describe('a wrong option is refused with a sentence that says what was expected and what was got', () => {
  it.each(WRONG.map(([check, value, sentence]) => ({ check, value, sentence: `Expected \`x\` to be ${sentence}` })))(
    '$sentence',
    ({ check, value, sentence }) => {
      expect(refusal(check, value)).toBe(sentence);
    },
  );

  it.each<[options.Check, unknown]>([
    [options.integer(1, 65_535), 65_535],
    [options.integer(1, 65_535), 1],
    [options.heartbeat, 0],
    [options.heartbeat, 600],
    [options.duration(1), 1],
    [options.number(0, 1), 0],
    [options.number(0, 1), 1],
    [options.date, new Date(0)],
    [options.observableInput, { then: () => undefined }],
    [options.observableInput, { [Symbol.asyncIterator]: () => undefined }],
    [options.abortSignal, LISTENING],
    [options.shortString(218), 'e'.repeat(218)],
    [options.entityName, 'a b'],
    [options.countFrom(0), Infinity],
    [options.countFrom(0), 0],
    [options.number(0, 1), 0.5],
    [options.duration(), 0.5],
    [options.duration(), 2 ** 31 - 1],
    [options.oneOf('a', 'b'), 'b'],
    [options.date, new Date()],
    [options.observableInput, of(1)],
    [options.observableInput, Promise.resolve()],
    [options.observableInput, [1]],
    [options.abortSignal, AbortSignal.abort()],
    [options.shortString(218), 'é'.repeat(109)],
    [options.codec, auto],
    [options.either(options.string, options.list), []],
    [logger, 'silent'],
    [options.integer(1, 2), undefined],
  ])('and a right one is not: %#', (check, value) => {
    expect(refusal(check, value)).toBeUndefined();
  });
});

describe('an option that nobody knows is refused', () => {
  const shape = { prefetch: options.integer(1, 9), tagPrefix: options.string };
  const refused = (given: object): OptionsError => {
    try {
      options.checkOptions(given, shape, { of: 'consume()', path: 'consumer.' });
    } catch (error) {
      if (error instanceof OptionsError) return error;
    }
    throw new Error('Expected a refusal.');
  };

  it('by its name, with those that are known', () => {
    const { option, message } = refused({ color: 'red' });
    expect(option).toBe('consumer.color');
    expect(message).toBe('Unknown option `consumer.color` for consume(). Known options: prefetch, tagPrefix.');
  });

  it.each([
    ['prefech', 'prefetch'],
    ['PREFETCH', 'prefetch'],
    ['tagprefix', 'tagPrefix'],
  ])('with the one that may have been meant: %s', (given, meant) => {
    expect(refused({ [given]: 1 }).message).toContain(`Did you mean \`${meant}\`?`);
  });

  it.each(['refetch', 'prefetchh', 'prefetcj', 'rpefetch', 'prefecth', 'rpefecth', 'pretch', 'perfetch', 'prefetchxy'])(
    'that differs in two letters at most, which may have changed places: %s',
    (given) => {
      expect(refused({ [given]: 1 }).message).toContain('Did you mean `prefetch`?');
    },
  );

  it.each(['fetch', 'prexyzch', 'prefetchxyz', 'hcteferp', 'pfreecth', 'x', ''])(
    'and not for any other: `%s`',
    (given) => {
      expect(refused({ [given]: 1 }).message).not.toContain('Did you mean');
    },
  );

  it('with the nearest of several', () => {
    expect(options.near('pint', ['mine', 'pins', 'paint'])).toBe('pins');
    expect(options.near('mint', ['pins', 'mine', 'mints'])).toBe('mine');
    expect(options.near('MINT', ['mine', 'mint'])).toBe('mint');
    expect(options.near('mint', ['pins'], 1)).toBeUndefined();
  });

  it('even when it is undefined: a slip is a slip', () => {
    expect(refused({ prefech: undefined }).option).toBe('consumer.prefech');
  });

  it('also when objects in general have a member of that name', () => {
    expect(refused({ toString: 1 }).option).toBe('consumer.toString');
  });
});

describe('options', () => {
  it('that are required must be there', () => {
    const check = (given: { url?: string }): void => {
      options.checkOptions(given, { url: options.string }, { of: 'a connection', required: ['url'] });
    };
    expect(() => check({})).toThrow('Expected `url` to be a string, got nothing.');
    expect(() => check({ url: undefined as never })).toThrow('Expected `url` to be a string, got nothing.');
    expect(() => check({ url: 'x' })).not.toThrow();
  });

  it('have to be an object', () => {
    const given: unknown = JSON.parse('[]');
    expect(() => {
      options.checkOptions(given as object, {}, { of: 'a producer' });
    }).toThrow('Expected `options` to be an object with the options of a producer, got an array.');
  });

  it('that are undefined do not erase a default', () => {
    const given: { a?: number; b?: number } = JSON.parse('{"b":5}') as { b: number };
    expect(options.withDefaults({ a: 1, b: 2 }, { ...given, a: undefined as never })).toEqual({ a: 1, b: 5 });
    expect(options.withDefaults({ a: 1 }, undefined)).toEqual({ a: 1 });
  });

  it('with a value that is not shown whole do not flood the sentence', () => {
    const { message } = options.expected('x', 'short', 'long '.repeat(1000));
    expect(message).toBe('Expected `x` to be short, got a string of 5000 bytes.');
  });
});
