import { types } from 'node:util';
import { NotEncodable, withoutMembers } from './not-encodable';

/**
 * The JSON form of a value. `JSON.stringify` writes `{}` for a Map, `null` for NaN and nothing at all for a function, so
 * that the reader gets something else than what was sent: such values are refused, however deep they lie. A member that is
 * undefined is left out, and an undefined item of an array becomes null, as everywhere in JSON.
 * @throws NotEncodable, which names the path; what a `toJSON` throws
 */
export function toJson(value: unknown, path = 'body'): string {
  if (value === undefined) throw new NotEncodable(`\`${path}\` is undefined, which has no JSON form.`);
  return isPlain(value, 0) ? JSON.stringify(value) : checkedJson(value, path);
}

/** Deeper than this `isPlain` gives up: the value may contain itself, which `JSON.stringify` finds out. */
const DEEPEST = 50;

/**
 * Can `JSON.stringify` be trusted with this value? Answers in a fraction of the time that writing takes, and `false` when in
 * doubt: `checkedJson` then looks at each value on its way out, which takes several times as long.
 */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      if (value === null) return true;
      if (depth === DEEPEST) return false;
      return Array.isArray(value) ? hasPlainItems(value, depth + 1) : hasPlainMembers(value, depth + 1);
    default:
      return false;
  }
}

function hasPlainItems(items: readonly unknown[], depth: number): boolean {
  for (const item of items) if (!isPlain(item, depth)) return false;
  return true;
}

function hasPlainMembers(value: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    if (types.isDate(value)) return value.toJSON === Date.prototype.toJSON && !Number.isNaN(value.getTime());
    // Instances of classes, of other realms' Object, too: fields, and nothing hidden behind them.
    if (Object.prototype.toString.call(value) !== '[object Object]' || 'toJSON' in value) return false;
    if (Object.keys(value).length === 0) return false;
  }
  // `toJSON` of an object literal is a member like any other here, and a function.
  for (const name in value) if (!isPlain(value[name as keyof typeof value], depth)) return false;
  return true;
}

/** `JSON.stringify` with a look at each value, behind its `toJSON`. */
function checkedJson(value: unknown, path: string): string {
  /** From the outermost object to the one that is being written, and the names by which each holds the next. */
  const holders: object[] = [];
  const names: string[] = [];
  return JSON.stringify(value, function (this: object, name, member: unknown) {
    while (holders.length > 0 && holders.at(-1) !== this) {
      holders.pop();
      names.pop();
    }
    const why = refusal(member, this, name);
    if (why !== undefined) throw new NotEncodable(`\`${pathOf(path, holders, [...names, name])}\` ${why}.`);
    if (typeof member === 'object' && member !== null) {
      holders.push(member);
      names.push(name);
    }
    return member;
  });
}

/** Why this value would not arrive as what it is; undefined: it would. */
function refusal(value: unknown, holder: object, name: string): string | undefined {
  switch (typeof value) {
    case 'function':
    case 'symbol':
      return `is a ${typeof value}, which has no JSON form`;
    case 'bigint':
      return 'is a bigint, which has no JSON form: send a string, or a number';
    case 'number':
      return Number.isFinite(value) ? undefined : `is ${String(value)}, which JSON can only write as null`;
    case 'object': {
      if (value === null) return isInvalidDate(Reflect.get(holder, name)) ? 'is an invalid Date' : undefined;
      // JSON.stringify writes what is in the box.
      if (Array.isArray(value) || (types.isBoxedPrimitive(value) && !types.isSymbolObject(value))) return undefined;
      const kind = withoutMembers(value);
      return kind && `is ${kind}, which JSON cannot hold${advice(value)}`;
    }
    default:
      return undefined;
  }
}

const isInvalidDate = (value: unknown): boolean => types.isDate(value) && Number.isNaN(value.getTime());

function advice(value: object): string {
  if (types.isMap(value)) return ': send Object.fromEntries(…)';
  if (types.isSet(value)) return ': send an array';
  if (types.isPromise(value)) return ': await it';
  if (types.isNativeError(value)) return ': send its name and message';
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value))
    return ': send it as the body, or as a string (base64)';
  return ': give it a toJSON()';
}

/** `body.items[2].name` */
function pathOf(root: string, holders: readonly object[], names: readonly string[]): string {
  const steps = names.slice(1).map((name, i) => {
    if (Array.isArray(holders[i])) return `[${name}]`;
    // A name may be data itself: a long one is not shown whole.
    return `.${name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name}`;
  });
  return `${root}${steps.join('')}`;
}
const LONGEST = 40;
