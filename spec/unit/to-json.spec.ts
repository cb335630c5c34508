import { runInNewContext } from 'node:vm';
import { NotEncodable } from '../../lib/not-encodable';
import { toJson } from '../../lib/to-json';

class Order {
  id = 'a';
  placed = new Date(0);
  lines = [{ sku: 'b', count: 2 }];
}
class Secret {
  #content = 1;
  get content(): number {
    return this.#content;
  }
}
class Money {
  #cents: unknown = 1;
  constructor(cents: unknown = 1) {
    this.#cents = cents;
  }
  toJSON(): unknown {
    return this.#cents;
  }
}
const deep = (levels: number, inmost: unknown): unknown =>
  Array.from({ length: levels }).reduce<unknown>((inner) => ({ inner }), inmost);

/** Values with their content elsewhere than in enumerable members, or without a form in JSON. */
const REFUSED: readonly (readonly [value: unknown, sentence: string])[] = [
  [new Map([[1, 2]]), 'is a Map, which JSON cannot hold: send Object.fromEntries(…).'],
  [new Set([1]), 'is a Set, which JSON cannot hold: send an array.'],
  [new WeakMap(), 'is a WeakMap'],
  [/x/, 'is a RegExp'],
  [new Error('no'), 'is an Error, which JSON cannot hold: send its name and message.'],
  [Object.assign(new TypeError('no'), { code: 5 }), 'is an Error'],
  [Promise.resolve(1), 'is a Promise, which JSON cannot hold: await it.'],
  [new Uint8Array(2), 'is a Uint8Array, which JSON cannot hold: send it as the body, or as a string (base64).'],
  [new ArrayBuffer(2), 'is an ArrayBuffer'],
  [new DataView(new ArrayBuffer(2)), 'is a DataView'],
  [new Secret(), 'is an instance of Secret without enumerable fields, which JSON cannot hold: give it a toJSON().'],
  [new URLSearchParams('a=1'), 'is an instance of URLSearchParams without enumerable fields'],
  [[1].values(), 'is an instance of Array Iterator without enumerable fields'],
  [Object.create({ inherited: 1 }), 'is an instance of Object without enumerable fields'],
  [Object(Symbol('x')), 'is an instance of Symbol without enumerable fields'],
  [() => 1, 'is a function, which has no JSON form.'],
  [Symbol('x'), 'is a symbol, which has no JSON form.'],
  [5n, 'is a bigint, which has no JSON form: send a string, or a number.'],
  [NaN, 'is NaN, which JSON can only write as null.'],
  [-Infinity, 'is -Infinity, which JSON can only write as null.'],
  [new Date(NaN), 'is an invalid Date.'],
  [new Money(new Map()), 'is a Map'],
  [runInNewContext('new Map([[1, 2]])'), 'is a Map'],
  [runInNewContext('new Error("no")'), 'is an Error'],
  [runInNewContext('new Date(NaN)'), 'is an invalid Date'],
  [runInNewContext('(class Hidden { #x = 1 })'), 'is a function'],
  [runInNewContext('new (class Hidden { #x = 1 })'), 'is an instance of Hidden'],
];

describe('what JSON would write as something else is refused, with its path', () => {
  const refusalOf = (value: unknown): Error => {
    try {
      toJson(value);
    } catch (error) {
      if (error instanceof NotEncodable) return error;
      throw error;
    }
    throw new Error('Expected a refusal.');
  };

  it.each(REFUSED.map(([value, sentence]) => ({ value, sentence })))('$sentence', ({ value, sentence }) => {
    expect(refusalOf(value).message).toContain(`\`body\` ${sentence}`);
    expect(refusalOf({ a: 1, order: [null, { lines: value }] }).message).toContain(
      `\`body.order[1].lines\` ${sentence}`,
    );
    expect(refusalOf({ money: new Money({ cents: value }) }).message).toContain(`\`body.money.cents\` ${sentence}`);
    expect(refusalOf(deep(120, value)).message).toContain(`.inner\` ${sentence}`);
    expect(refusalOf(Object.assign(new Order(), { value })).message).toContain(`\`body.value\` ${sentence}`);
  });

  it('when nothing is there at all', () => {
    expect(refusalOf(undefined).message).toBe('`body` is undefined, which has no JSON form.');
  });

  it('and a name that may be data itself is not shown whole', () => {
    expect(refusalOf({ ['x'.repeat(100)]: NaN }).message).toBe(
      `\`body.${'x'.repeat(40)}…\` is NaN, which JSON can only write as null.`,
    );
  });
});

describe('what JSON can hold is written as JSON.stringify writes it', () => {
  it.each<[unknown]>([
    [null],
    ['grüß'],
    [false],
    [{}],
    [[]],
    [Object.create(null)],
    [{ a: undefined, b: [undefined] }],
    [Object.assign([1], { 2: 'behind a hole' })],
    [new Order()],
    [{ at: new Date(0) }],
    [new Money({ at: new Date(0), none: null })],
    [new URL('http://a/b')],
    [[Object('boxed'), Object(5), Object(false)]],
    [{ bytes: Buffer.from('ab') }],
    [{ toJSON: () => [1] }],
    [deep(120, 'end')],
    [JSON.parse('{"__proto__":{"a":1},"toJSON":1}')],
    [runInNewContext('({ a: [1, { at: new Date(0) }], none: {} })')],
    [structuredClone({ a: [{}], at: new Date(0) })],
  ])('%#: %j', (value) => {
    expect(toJson(value)).toBe(JSON.stringify(value));
  });

  it('and each toJSON is called once', () => {
    let calls = 0;
    toJson({ a: [{ toJSON: () => ++calls }] });
    expect(calls).toBe(1);
  });

  it('and what contains itself is refused by JSON.stringify', () => {
    const round: Record<string, unknown> = {};
    round['self'] = { round };
    expect(() => toJson(round)).toThrow('circular');
  });
});
