import type { Metrics } from '../client/metrics';
import type { Health } from '../health/health';

/** A line of the log on the page. A repetition of the last line raises its `count` instead of adding one. */
export interface LogLine {
  readonly id: number;
  readonly at: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  /** The subject and the cause. */
  readonly facts: string;
  readonly count: number;
}

type News = Pick<LogLine, 'level' | 'message'> & { readonly facts: readonly (string | false | undefined)[] };
/** A part of `Health` with a status: a connection, a consumer, a producer. */
interface Part {
  readonly status: string;
  readonly cause?: Error;
  readonly epoch?: number;
  readonly tag?: string;
  readonly endpoint?: string;
}

/** The number of lines kept. */
const TAIL = 200;

/** The line for each status. A status that is missing here has none. */
const WORDS: Readonly<Record<string, readonly [level: LogLine['level'], message: string]>> = {
  'connection connected': ['info', 'connected'],
  'connection reconnecting': ['warn', 'connection lost: reconnecting'],
  'connection closing': ['info', 'connection closing'],
  'connection closed': ['info', 'connection closed'],
  'consumer attached': ['info', 'consumer attached'],
  'consumer detached': ['warn', 'consumer detached'],
  'consumer paused': ['info', 'consumer paused'],
  'consumer draining': ['info', 'consumer draining'],
  'consumer stopped': ['error', 'consumer stopped'],
  'producer open': ['info', 'producer open'],
  'producer opening': ['warn', 'producer channel lost: reopening'],
  'producer stopped': ['error', 'producer stopped'],
};

/** The lines for counters of problems. */
const MISHAPS = {
  returned: 'message returned: no queue took it',
  nacked: 'message nacked by the broker',
  timedOut: 'message timed out',
  dropped: 'message dropped: the outbox is full',
  undecodable: 'undecodable message',
  lost: 'delivery lost: the broker delivers it again',
  resent: 'message sent again',
  retried: 'message waits for its retry',
} as const satisfies Partial<Record<keyof Metrics, string>>;

/** The log of the page: transitions in `health$`, and counters of `metrics` that increased. */
export class EventLog {
  #lines: readonly LogLine[] = [];
  #count = 0;
  #parts: ReadonlyMap<string, Part> = new Map();
  #blocked: string | undefined;
  #metrics: Metrics | undefined;

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Returns the lines that are new or changed. */
  health(health: Health): readonly LogLine[] {
    const parts = partsOf(health);
    const news: News[] = [];
    for (const [name, part] of parts) {
      const before = this.#parts.get(name);
      if (before?.status === part.status && before.epoch === part.epoch && before.tag === part.tag) continue;
      news.push(...newsOf(name, part));
    }
    if (health.blocked !== this.#blocked) {
      const { blocked } = health;
      news.push(
        blocked === undefined
          ? { level: 'info', message: 'unblocked by the broker', facts: [] }
          : { level: 'warn', message: 'blocked by the broker', facts: [blocked] },
      );
    }
    this.#parts = parts;
    this.#blocked = health.blocked;
    return news.map((one) => this.#add(one));
  }

  /** Compares with the counters of the last call; the first call only stores them. Returns the lines that are new or changed. */
  metrics(metrics: Metrics): readonly LogLine[] {
    const before = this.#metrics;
    this.#metrics = metrics;
    if (!before) return [];
    return (Object.keys(MISHAPS) as (keyof typeof MISHAPS)[]).flatMap((name) => {
      const more = metrics[name] - before[name];
      const level = name === 'retried' || name === 'resent' ? 'info' : 'warn';
      return more > 0 ? [this.#add({ level, message: MISHAPS[name], facts: [] }, more)] : [];
    });
  }

  #add({ level, message, facts }: News, times = 1): LogLine {
    const at = Date.now();
    const text = facts.filter(Boolean).join(' · ');
    const last = this.#lines.at(-1);
    const repeated = last?.message === message && last.facts === text;
    const line: LogLine = repeated
      ? { ...last, at, count: last.count + times }
      : { id: ++this.#count, at, level, message, facts: text, count: times };
    this.#lines = [...(repeated ? this.#lines.slice(0, -1) : this.#lines.slice(1 - TAIL)), line];
    return line;
  }
}

/** The parts by stable names: `consumer orders`, and for a second consumer of the queue `consumer orders 2`. */
function partsOf({ connections, consumers, producers }: Health): ReadonlyMap<string, Part> {
  const parts = new Map<string, Part>();
  const add = (name: string, part: Part): void => {
    let unique = name;
    for (let n = 2; parts.has(unique); n++) unique = `${name} ${String(n)}`;
    parts.set(unique, part);
  };
  for (const role of ['producer', 'consumer'] as const) add(`connection ${role}`, connections[role]);
  for (const consumer of consumers) add(`consumer ${consumer.queueName}`, consumer);
  for (const producer of producers) add('producer', producer);
  return parts;
}

function newsOf(name: string, { status, cause, epoch, tag, endpoint }: Part): News[] {
  const [of = '', ...rest] = name.split(' ');
  const words = WORDS[`${of} ${status}`];
  // The first channel of a producer, and the first attach of a consumer, have no cause.
  if (!words || (cause === undefined && (status === 'detached' || status === 'opening'))) return [];
  const [level, message] = words;
  const facts = [rest.join(' '), epoch !== undefined && `epoch ${String(epoch)}`, tag ?? endpoint, cause?.message];
  return [{ level: status === 'stopped' && cause === undefined ? 'info' : level, message, facts }];
}
