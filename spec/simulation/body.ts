/** What a message of the simulated app says of itself. */
export interface Body {
  readonly id: number;
  readonly producer: number;
  readonly key: number;
  /** Makes it larger. */
  readonly padding?: string;
}

export const isBody = (body: unknown): body is Body => typeof body === 'object' && body !== null && 'id' in body;

/** The body in the bytes of a message; undefined: it is none of the app's. */
export function bodyIn(content: Buffer): Body | undefined {
  try {
    const body: unknown = JSON.parse(content.toString());
    return isBody(body) ? body : undefined;
  } catch {
    return undefined;
  }
}
