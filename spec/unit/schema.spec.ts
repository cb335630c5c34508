import * as v from 'valibot';
import { z } from 'zod';
import { json, type Codec } from '../../lib/codec';
import { OptionsError } from '../../lib/errors';
import { NotDecodable, NotEncodable } from '../../lib/not-encodable';
import { encode } from '../../lib/producer/encoded-message';
import type { StandardSchemaV1 } from '../../lib/schema';
import { type } from '../support/arktype';

interface Order {
  readonly id: number;
  readonly lines: readonly { readonly price: number }[];
}

/** The same schema by each library. */
const SCHEMAS: readonly (readonly [vendor: string, schema: StandardSchemaV1<Order>])[] = [
  ['zod', z.object({ id: z.number(), lines: z.array(z.object({ price: z.number() })) })],
  ['valibot', v.object({ id: v.number(), lines: v.array(v.object({ price: v.number() })) })],
  ['arktype', type({ id: 'number', lines: type({ price: 'number' }).array() })],
];

type Path = readonly (PropertyKey | { readonly key: PropertyKey })[];
const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const thrownBy = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
};

describe.each(SCHEMAS)('a schema of %s', (vendor, schema) => {
  const codec = json(schema);
  const good: Order = { id: 1, lines: [{ price: 2 }] };
  const secret = 'hunter2';
  const wrong = { id: secret, lines: [{ price: 1 }, { price: secret }] };

  it('lets through what it accepts, in both directions', () => {
    expect(codec.encode(good).toString()).toBe('{"id":1,"lines":[{"price":2}]}');
    expect(codec.decode(bytesOf(good), {})).toEqual(good);
    expect(codec.contentType).toBe('application/json');
  });

  it('refuses what arrives, by the paths at fault and never by the values', () => {
    const error = thrownBy(() => codec.decode(bytesOf(wrong), {}));
    expect(error).toBeInstanceOf(NotDecodable);
    expect(error).toMatchObject({
      message: `The schema (${vendor}) refuses the body at \`body.id\`, \`body.lines[1].price\`.`,
    });
    expect(error).not.toHaveProperty('cause');
    expect(error).not.toHaveProperty('issues');
  });

  it('refuses what is to be sent, likewise', () => {
    // As from JavaScript, where no compiler looks.
    const send = (): unknown =>
      encode({ queue: 'q', body: wrong as never }, codec, { persistent: true, mandatory: true });
    const error = thrownBy(send);
    expect(error).toMatchObject({
      code: 'PUBLISH_INVALID',
      message: `The codec cannot encode the body of this message: The schema (${vendor}) refuses the body at \`body.id\`, \`body.lines[1].price\`.`,
      cause: expect.any(NotEncodable) as Error,
    });
    expect(JSON.stringify(error)).not.toContain(secret);
  });

  it('refuses a body that is no object at its root', () => {
    expect(() => codec.decode(bytesOf(secret), {})).toThrow(`The schema (${vendor}) refuses the body at \`body\`.`);
  });

  it('refuses what is no JSON as ever', () => {
    expect(() => codec.decode(Buffer.from('{'), {})).toThrow(SyntaxError);
  });
});

describe('input and output of a schema may differ', () => {
  const CODECS: readonly (readonly [
    vendor: string,
    codec: Codec<{ at: Date; size: number }, { at: string; size?: number }>,
  ])[] = [
    ['zod', json(z.object({ at: z.string().transform((at) => new Date(at)), size: z.number().default(7) }))],
    [
      'valibot',
      json(
        v.object({
          at: v.pipe(
            v.string(),
            v.transform((at) => new Date(at)),
          ),
          size: v.optional(v.number(), 7),
        }),
      ),
    ],
    ['arktype', json(type({ at: 'string.date.parse', size: 'number = 7' }) as never)],
  ];
  it.each(CODECS)('with %s: the input is sent as it is, the output is read', (_vendor, codec) => {
    const content = codec.encode({ at: '2026-01-02T03:04:05.000Z' });
    expect(content.toString()).toBe('{"at":"2026-01-02T03:04:05.000Z"}');
    expect(codec.decode(content, {})).toEqual({ at: new Date('2026-01-02T03:04:05.000Z'), size: 7 });
  });

  it('what is sent is checked in its JSON form, as the receiver gets it', () => {
    const coerced = json(z.object({ at: z.coerce.date<Date>() }));
    expect(coerced.decode(coerced.encode({ at: new Date(0) }), {})).toEqual({ at: new Date(0) });
    // A date becomes a string on the wire, so that no receiver with this schema could read it.
    const strict = json(z.object({ at: z.date() }));
    expect(() => strict.encode({ at: new Date(0) })).toThrow('refuses the body at `body.at`.');
  });
});

describe('paths', () => {
  const refusing = (...paths: Path[]): Codec<unknown> =>
    json({
      '~standard': {
        version: 1,
        vendor: 'own',
        validate: () => ({ issues: paths.map((path) => ({ message: 'no', path })) }),
      },
    });
  const said = (...paths: Path[]): string => String(thrownBy(() => refusing(...paths).encode(1)));

  it('are written as JavaScript writes them', () => {
    expect(said(['a', 0, { key: 'b' }, 'not a name', Symbol('s')])).toContain(
      '`body.a[0].b["not a name"]["Symbol(s)"]`',
    );
    expect(said([])).toContain('at `body`.');
  });

  it('are few and short, whatever the body holds', () => {
    const many = Array.from({ length: 1000 }, (_, index) => [index]);
    expect(said(...many)).toContain('`body[4]` and 995 more.');
    expect(said(['x'.repeat(10_000)]).length).toBeLessThan(200);
    expect(said(['a'], ['a'])).toContain('at `body.a`.');
  });
});

describe('an asynchronous schema', () => {
  const sentence = /validates asynchronously, but messages are encoded and decoded synchronously/;

  it.each<[string, StandardSchemaV1]>([
    [
      'of valibot',
      v.pipeAsync(
        v.string(),
        v.checkAsync(() => Promise.resolve(true)),
      ),
    ],
    [
      'of an own making',
      { '~standard': { version: 1, vendor: 'own', validate: (value) => Promise.resolve({ value }) } },
    ],
  ])('%s is refused at once', (_which, schema) => {
    const error = thrownBy(() => json(schema));
    expect(error).toBeInstanceOf(OptionsError);
    expect(error).toMatchObject({ option: 'schema', message: expect.stringMatching(sentence) as string });
  });

  it('that shows itself later is refused then', () => {
    const codec = json(z.string().refine(() => Promise.resolve(true)));
    expect(() => codec.encode('x')).toThrow(sentence);
    expect(() => codec.decode(bytesOf('x'), {})).toThrow(sentence);
  });

  it('whose promise rejects harms nothing else', async () => {
    const validate = (): Promise<never> => Promise.reject(new Error('late'));
    expect(() => json({ '~standard': { version: 1, vendor: 'own', validate } })).toThrow(sentence);
    await new Promise(setImmediate);
  });
});

describe('a parse function', () => {
  const order = json((value) => {
    if (typeof value !== 'object' || value === null || !('id' in value)) throw new RangeError('no id');
    return { id: Number(value.id) };
  });

  it('checks in both directions', () => {
    expect(order.decode(bytesOf({ id: '7' }), {})).toEqual({ id: 7 });
    expect(order.encode({ id: 7 }).toString()).toBe('{"id":7}');
    expect(() => order.decode(bytesOf({}), {})).toThrow(RangeError);
    expect(() => order.encode({} as never)).toThrow(RangeError);
  });

  it('is not called with `undefined` to see whether it is asynchronous', () => {
    const parse = jest.fn((value: unknown) => value);
    json(parse);
    expect(parse).not.toHaveBeenCalled();
  });
});

test('what is neither a schema nor a function is refused at once', () => {
  expect(() => json({ parse: () => 1 } as never)).toThrow(
    'Expected `schema` to be a Standard Schema or a function, got an object.',
  );
});
