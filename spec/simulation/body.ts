/** The exchange of the simulated app, with a binding for each queue. */
export const EXCHANGE = 'events';

/** What a message of the simulated app says of itself. */
export interface Body {
  readonly id: number;
  readonly producer: number;
  readonly key: number;
  /** Makes it larger. */
  readonly padding?: string;
}

/** What a message carries beside its body, where it carries something. */
export const carriedBy = ({ id, key }: Body) => ({
  type: `type ${String(key)}`,
  correlationId: `c${String(id)}`,
  headers: { mine: { id, list: [1, 'two', null] }, 'x-own': true },
});

export const isBody = (body: unknown): body is Body => typeof body === 'object' && body !== null && 'id' in body;

/** Of the contents that were read: a message keeps its bytes on its whole way through the broker. */
const known = new WeakMap<Buffer, Body>();

/** The body in the bytes of a message; undefined: it is none of the app's. */
export function bodyIn(content: Buffer): Body | undefined {
  const before = known.get(content);
  if (before) return before;
  try {
    const body: unknown = JSON.parse(content.toString());
    if (!isBody(body)) return undefined;
    known.set(content, body);
    return body;
  } catch {
    return undefined;
  }
}
