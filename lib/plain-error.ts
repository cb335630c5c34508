import { isError } from './errors';

/** Causes of causes beyond this are left out. */
const DEEPEST = 5;

/**
 * An error as plain data, for loggers that would write it as `{}`: its name, message and stack, those of its own fields
 * that are strings, numbers or booleans, and its causes as far as they are errors. Anything else stays what it is.
 */
export function plainError(error: unknown, depth = 0): unknown {
  if (!isError(error)) return error;
  const { name, message, stack, cause } = error;
  const own = Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  const errors: unknown = Reflect.get(error, 'errors');
  return {
    name,
    message,
    ...Object.fromEntries(own),
    stack,
    ...(isError(cause) && depth < DEEPEST && { cause: plainError(cause, depth + 1) }),
    ...(Array.isArray(errors) &&
      depth < DEEPEST && { errors: errors.filter(isError).map((one) => plainError(one, depth + 1)) }),
  };
}
