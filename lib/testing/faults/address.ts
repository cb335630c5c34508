/** An address as `node:net` takes it; URLs write IPv6 addresses in brackets. */
export const unbracketed = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

/** Where a listener on `host` is dialled, as URLs write it. */
export function dialled(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
