import type { IncomingMessage } from 'node:http';

/** The names of this machine for itself. Any other name could be DNS rebinding. */
const OWN_NAMES = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Is the `host` header one of these names? */
export function isOwnHost({ headers }: IncomingMessage): boolean {
  const { host = '' } = headers;
  return URL.canParse(`http://${host}`) && OWN_NAMES.has(new URL(`http://${host}`).hostname);
}

/** Was the request sent by the page itself, or by no page at all? Browsers name the origin of a POST. */
export function isSameOrigin({ headers }: IncomingMessage): boolean {
  const { origin, host = '', 'sec-fetch-site': site } = headers;
  if (origin !== undefined && origin !== `http://${host}`) return false;
  return site === undefined || site === 'same-origin';
}
