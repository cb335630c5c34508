import { types } from 'node:util';

/** Why a value cannot go on the wire. Its sentence names where the value stands and of what kind it is, never the value. */
export class NotEncodable extends TypeError {}

/** Why a body cannot be read. Its sentence may name places in the body, never a value. */
export class NotDecodable extends TypeError {}

/** What an error that a codec threw adds to the sentence of the library's own: nothing, unless it is known to quote no body. */
export const reasonOf = (cause: unknown): string => (cause instanceof NotDecodable ? ` ${cause.message}` : '');

const NOT_IN_MEMBERS: readonly ((value: unknown) => boolean)[] = [
  types.isMap,
  types.isSet,
  types.isWeakMap,
  types.isWeakSet,
  types.isRegExp,
  types.isPromise,
  types.isNativeError,
  types.isAnyArrayBuffer,
  types.isArrayBufferView,
];

const tagOf = (value: object): string => Object.prototype.toString.call(value).slice('[object '.length, -1);

/**
 * What an object is if its content is not in its enumerable members, so that writing these would lose it: 'a Map', 'an
 * Error', 'an instance of Order without enumerable fields'. Undefined: its members are all there is. Holds across realms.
 */
export function withoutMembers(value: object): string | undefined {
  const tag = tagOf(value);
  if (NOT_IN_MEMBERS.some((is) => is(value))) return `${/^[AEIO]/.test(tag) ? 'an' : 'a'} ${tag}`;
  if (Object.keys(value).length > 0) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  // The prototype of a plain object has none itself, in whatever realm.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  const maker: unknown = Reflect.get(value, 'constructor');
  const name = tag === 'Object' && typeof maker === 'function' ? maker.name : tag;
  return `an instance of ${name} without enumerable fields`;
}
