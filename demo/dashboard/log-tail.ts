import { pino, type Logger } from 'pino';
import { Subject, type Observable } from 'rxjs';

export interface LogLine {
  readonly id: number;
  readonly at: number;
  readonly level: string;
  readonly message: string;
  /** `key value` of what else the line tells. */
  readonly facts: string;
}

/** Lines kept. */
const TAIL = 200;
/** The same in every line, or told in a place of their own. */
const NOT_FACTS = new Set([
  'level',
  'time',
  'pid',
  'hostname',
  'name',
  'msg',
  'err',
  'queue',
  'exchange',
  'routingKey',
]);

/** The library's log, and ours, as the page shows it. */
export class LogTail {
  readonly logger: Logger;
  readonly #lines: LogLine[] = [];
  readonly #line = new Subject<LogLine>();
  #count = 0;

  constructor() {
    this.logger = pino({ level: 'info' }, { write: (json: string) => this.#write(json) });
  }

  /** Hot. Emits: each line as it is written. Completes and errors: never. */
  get line$(): Observable<LogLine> {
    return this.#line.asObservable();
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  #write(json: string): void {
    const entry = JSON.parse(json) as Readonly<Record<string, unknown>>;
    const facts = Object.entries(entry).filter(([key]) => !NOT_FACTS.has(key));
    const err = entry['err'] as { readonly message?: string } | undefined;
    const line: LogLine = {
      id: ++this.#count,
      at: Number(entry['time']),
      level: pino.levels.labels[Number(entry['level'])] ?? 'info',
      message: String(entry['msg']),
      facts: [...facts.map(([key, value]) => `${key} ${textOf(value)}`), ...(err?.message ? [err.message] : [])].join(
        ' · ',
      ),
    };
    this.#lines.push(line);
    if (this.#lines.length > TAIL) this.#lines.shift();
    this.#line.next(line);
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
