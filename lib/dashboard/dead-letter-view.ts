import { lastValueFrom, type Observable } from 'rxjs';
import { sentenceOf } from '../errors';

/** A group of letters, as the page shows it. */
interface GroupView {
  readonly reason: string;
  readonly queue: string | undefined;
  readonly error: { readonly name: string; readonly message: string } | undefined;
  readonly count: number;
  readonly newest: Date | undefined;
}

/** A dead-letter queue that can be looked at: `deadLetters(queue, name)` of `instance-queue/tools`. */
export interface HasDeadLetters {
  readonly name: string;
  /** Cold. Emits: counts, the last of which are those of the whole look. Completes: after the look. Errors: if it is refused. */
  groups(): Observable<{
    readonly found: number;
    readonly read: number;
    readonly groups: readonly GroupView[];
    readonly others: number;
  }>;
}

/** What the page gets about one queue: its groups, or why there are none. */
export type DeadLetterView =
  | { readonly name: string; readonly error: string }
  | {
      readonly name: string;
      readonly found: number;
      readonly read: number;
      readonly others: number;
      readonly groups: readonly GroupView[];
    };

/** ms for which a look is shown to all who ask: each look makes the broker deliver the letters. */
const FRESH = 5000;

/** Looks at dead-letter queues for any number of pages, one look at a time. */
export class DeadLetterLooks {
  readonly #queues: readonly HasDeadLetters[];
  #look: Promise<readonly DeadLetterView[]> | undefined;
  #until = 0;

  constructor(queues: readonly HasDeadLetters[]) {
    this.#queues = queues;
  }

  /** Never rejects. */
  look(): Promise<readonly DeadLetterView[]> {
    if (!this.#look || performance.now() > this.#until) {
      this.#until = Infinity;
      this.#look = Promise.all(this.#queues.map(viewOf)).finally(() => {
        this.#until = performance.now() + FRESH;
      });
    }
    return this.#look;
  }
}

async function viewOf(queue: HasDeadLetters): Promise<DeadLetterView> {
  const { name } = queue;
  try {
    const { found, read, others, groups } = await lastValueFrom(queue.groups());
    return { name, found, read, others, groups };
  } catch (error) {
    return { name, error: sentenceOf(error) };
  }
}
