import { expected, isObject } from '../options';
import { isError, type OptionsError, sentenceOf } from '../errors';

/** The management API of a broker, for what AMQP does not tell. https://www.rabbitmq.com/docs/management */
export interface ManagementOptions {
  /** With user and password: `http://user:password@host:15672`. */
  readonly url: string;
  /** The virtual host. @default / */
  readonly vhost?: string;
}

/** A binding, as the management API lists it. */
export interface ListedBinding {
  readonly source: string;
  readonly destination: string;
  readonly destinationType: string;
  readonly routingKey: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** ms */
const WITHIN = 5000;

/** Asks the management API. Its errors hold no credentials. */
export class Management {
  readonly #base: URL;
  readonly #authorization: string;
  readonly #vhost: string;

  /** @throws OptionsError */
  constructor({ url, vhost = '/' }: ManagementOptions) {
    const wrong = (what: string): OptionsError => expected('management.url', what, url, true);
    let base: URL;
    try {
      base = new URL(url);
    } catch {
      throw wrong('an http:// or https:// URL');
    }
    if (!/^https?:$/.test(base.protocol)) throw wrong('an http:// or https:// URL');
    let credentials: string;
    try {
      credentials = [base.username, base.password].map(decodeURIComponent).join(':');
    } catch {
      throw wrong('a URL whose user and password are percent-encoded: `%25` for `%`');
    }
    this.#authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    base.username = '';
    base.password = '';
    // What is asked for is below its path.
    if (!base.pathname.endsWith('/')) base.pathname += '/';
    this.#base = base;
    this.#vhost = encodeURIComponent(vhost);
  }

  /** The type of a queue; undefined: there is none of that name. Rejects: Error. */
  async queueType(queue: string): Promise<string | undefined> {
    const answer = await this.#get(`queues/${this.#vhost}/${encodeURIComponent(queue)}`);
    if (!isObject(answer)) return undefined;
    return typeof answer['type'] === 'string' ? answer['type'] : 'classic';
  }

  /** The bindings of a queue, its own to the default exchange too. Rejects: Error. */
  bindingsOf(queue: string): Promise<readonly ListedBinding[]> {
    return this.#bindings(`queues/${this.#vhost}/${encodeURIComponent(queue)}/bindings`);
  }

  /** The bindings from an exchange. Rejects: Error. */
  bindingsFrom(exchange: string): Promise<readonly ListedBinding[]> {
    return this.#bindings(`exchanges/${this.#vhost}/${encodeURIComponent(exchange)}/bindings/source`);
  }

  async #bindings(path: string): Promise<readonly ListedBinding[]> {
    const answer = await this.#get(path);
    if (!Array.isArray(answer)) return [];
    return answer.filter(isObject).map((row) => ({
      source: String(row['source']),
      destination: String(row['destination']),
      destinationType: String(row['destination_type']),
      routingKey: String(row['routing_key']),
      arguments: isObject(row['arguments']) ? row['arguments'] : {},
    }));
  }

  /** Undefined: 404. */
  async #get(path: string): Promise<unknown> {
    const where = `the management API at ${this.#base.host}`;
    let response: Response;
    try {
      response = await fetch(new URL(`api/${path}`, this.#base), {
        headers: { authorization: this.#authorization },
        signal: AbortSignal.timeout(WITHIN),
      });
    } catch (error) {
      const cause: unknown = isError(error) ? (error.cause ?? error) : error;
      throw new Error(`Cannot reach ${where}: ${sentenceOf(cause)}`, { cause: error });
    }
    const { status, ok, statusText } = response;
    if (!ok && status !== 404) throw new Error(`Refused by ${where}: ${String(status)} ${statusText}.`);
    const answer: unknown = await response.json().catch(() => undefined);
    // Whatever else listens there says nothing about queues and exchanges.
    if (ok ? answer === undefined : !(isObject(answer) && typeof answer['error'] === 'string'))
      throw new Error(
        `What listens at ${this.#base.host} does not answer like the management API (${String(status)} ${statusText}).`,
      );
    return ok ? answer : undefined;
  }
}
