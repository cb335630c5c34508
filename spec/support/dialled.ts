import { Subscription } from 'rxjs';
import { parseEndpoint } from '../../lib/transport/endpoints';
import type { DialOptions, Link, Transport } from '../../lib/transport/transport';

let dials = new Subscription();

/** A link by this transport, broken by `hangUp`. */
export function dialled(transport: Transport, url: string, options: Partial<DialOptions> = {}): Promise<Link> {
  return new Promise((resolve, reject) => {
    const all = { heartbeat: 0, connectTimeout: 10_000, wire: true, ...options };
    dials.add(transport.dial(parseEndpoint(url), all).subscribe({ next: resolve, error: reject }));
  });
}

/** Breaks all links that `dialled` made. */
export function hangUp(): void {
  dials.unsubscribe();
  dials = new Subscription();
}
