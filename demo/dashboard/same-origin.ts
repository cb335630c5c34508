import type { IncomingMessage } from 'node:http';

/** The names under which this machine talks to itself. Another one is somebody's DNS pointing here. */
const OWN_NAMES = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Was it asked of this machine by its own name? */
export function isOwnHost({ headers }: IncomingMessage): boolean {
  const { host = '' } = headers;
  return URL.canParse(`http://${host}`) && OWN_NAMES.has(new URL(`http://${host}`).hostname);
}

/** Did our own page send this, or somebody who is no page at all? Browsers say who sent a POST. */
export function isSameOrigin({ headers }: IncomingMessage): boolean {
  const { origin, host = '', 'sec-fetch-site': site } = headers;
  if (origin !== undefined && origin !== `http://${host}`) return false;
  return site === undefined || site === 'same-origin';
}
