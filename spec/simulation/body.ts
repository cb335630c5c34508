/** The exchange of the simulated app, with a binding for each queue. */
export const EXCHANGE = 'events';

/** The content type of messages to a contract. */
export const CONTRACTED = 'application/vnd.app+json';

/** The queue that a consumer declares for itself. */
export const ownQueueOf = (consumer: number): string => `own${String(consumer)}`;

/** What a message of the simulated app says of itself. */
export interface Body {
  readonly id: number;
  readonly producer: number;
  readonly key: number;
  /** Makes it larger. */
  readonly padding?: string;
  /** The codec that has read it; undefined: the one by default. */
  readonly readBy?: string;
}

/** What a message carries beside its body, where it carries something. */
export const carriedBy = ({ id, key }: Body) => ({
  type: `type ${String(key)}`,
  correlationId: `c${String(id)}`,
  headers: { mine: { id, list: [1, 'two', null] }, 'x-own': true },
});

export const isBody = (body: unknown): body is Body => typeof body === 'object' && body !== null && 'id' in body;

/** The body in the bytes of a message; undefined: it is none of the app's. */
export function bodyIn(content: Buffer): Body | undefined {
  return plainBodyIn(content) ?? jsonBodyIn(content);
}

/** What stands before, between and behind the numbers of a body without padding. */
const FORMAT = ['{"id":', ',"producer":', ',"key":', '}'].map((text) => Buffer.from(text));

/** Reads the octets as they are: the oracle looks at each message again and again. */
function plainBodyIn(content: Buffer): Body | undefined {
  const numbers: number[] = [];
  let at = 0;
  for (const text of FORMAT) {
    for (const octet of text) if (content[at++] !== octet) return undefined;
    if (numbers.length === 3) break;
    let number = 0;
    for (let digit = digitAt(content, at); digit >= 0; digit = digitAt(content, ++at)) number = number * 10 + digit;
    numbers.push(number);
  }
  const [id, producer, key] = numbers;
  if (at !== content.length || id === undefined || producer === undefined || key === undefined) return undefined;
  return { id, producer, key };
}

/** -1: there is none. */
function digitAt(content: Buffer, at: number): number {
  const digit = (content[at] ?? 0) - 48;
  return digit <= 9 ? digit : -1;
}

function jsonBodyIn(content: Buffer): Body | undefined {
  try {
    const body: unknown = JSON.parse(content.toString());
    return isBody(body) ? body : undefined;
  } catch {
    return undefined;
  }
}
