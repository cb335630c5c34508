import { OptionsError } from './errors';

/** A validator of any library that implements https://standardschema.dev: zod, valibot, arktype and others. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** Checks a value, and returns the output or what is wrong with it. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** For the compiler alone. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The value that a schema made of its input, or what it found wrong with it. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

/** One finding of a schema. Its message may quote the value, so it is never shown; its path is. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type Types<S extends StandardSchemaV1> = NonNullable<S['~standard']['types']>;
/** What a schema accepts. */
export type SchemaInput<S extends StandardSchemaV1> = Types<S>['input'];
/** What a schema returns. */
export type SchemaOutput<S extends StandardSchemaV1> = Types<S>['output'];

/** Is it a schema? Those of arktype are functions. */
export function isSchema(value: unknown): value is StandardSchemaV1 {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const standard: unknown = Reflect.get(value, '~standard');
  return typeof standard === 'object' && standard !== null && typeof Reflect.get(standard, 'validate') === 'function';
}

/**
 * A function that returns what the schema makes of a value, or throws a `Refused` that names the paths of the issues.
 * @throws OptionsError if the schema validates asynchronously, where that shows before it is used
 */
export function parserOf<Output>(
  schema: StandardSchemaV1<unknown, Output>,
  Refused: new (sentence: string) => Error,
): (value: unknown) => Output {
  const { vendor } = schema['~standard'];
  const asynchronous =
    `The schema (${vendor}) validates asynchronously, but messages are encoded and decoded synchronously: ` +
    'use a synchronous schema, and check the rest in the work.';
  // A schema with an asynchronous part may still answer at once, so this finds most of them and not all.
  if (isAsync(attempt(schema))) throw new OptionsError('schema', asynchronous);
  return (value) => {
    const result = schema['~standard'].validate(value);
    if (isAsync(result)) throw new Refused(asynchronous);
    if (result.issues) throw new Refused(`The schema (${vendor}) refuses the body at ${places(result.issues)}.`);
    return result.value;
  };
}

/** The schema's answer to `undefined`. A validator that throws at that is no asynchronous one. */
function attempt<Output>(schema: StandardSchemaV1<unknown, Output>): unknown {
  try {
    return schema['~standard'].validate(undefined);
  } catch {
    return undefined;
  }
}

/** Also a promise of another realm. A rejection of one that is not used must not end the process. */
function isAsync<R>(result: R): result is Extract<R, PromiseLike<unknown>> {
  if (typeof result !== 'object' || result === null || typeof Reflect.get(result, 'then') !== 'function') return false;
  Promise.resolve(result).catch(() => undefined);
  return true;
}

/** Paths in one sentence, at most. */
const MOST = 5;
/** Characters of a key that are shown: keys of a record come from the body. */
const LONGEST_KEY = 40;

function places(issues: readonly SchemaIssue[]): string {
  const paths = [...new Set(issues.map(({ path = [] }) => written(path)))];
  const shown = paths.slice(0, MOST).map((path) => `\`${path}\``);
  const more = paths.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}

/** `body.lines[0].price` */
function written(path: NonNullable<SchemaIssue['path']>): string {
  return path.reduce<string>((before, segment) => {
    const key = typeof segment === 'object' ? segment.key : segment;
    if (typeof key === 'number') return `${before}[${String(key)}]`;
    const name = String(key);
    const short = name.length > LONGEST_KEY ? `${name.slice(0, LONGEST_KEY)}…` : name;
    return /^[\w$]+…?$/.test(short) ? `${before}.${short}` : `${before}[${JSON.stringify(short)}]`;
  }, 'body');
}
