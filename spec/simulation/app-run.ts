import { InstanceQueueError, type InstanceQueue } from 'instance-queue';
import { Random } from '../../lib/testing/simulation/random';
import type { Universe } from '../../lib/testing/simulation/universe';
import type { Body } from './body';
import type { Oracle } from './oracle';
import type { Plan } from './plan';

/** What the parts of a simulated app share. */
export class AppRun {
  readonly #running = new AbortController();
  /** How often each message was worked on. */
  readonly #runs = new Map<number, number>();
  readonly #underWay = new Set<Promise<unknown>>();
  #id = 0;

  constructor(
    readonly universe: Universe,
    readonly plan: Plan,
    readonly oracle: Oracle,
    readonly client: InstanceQueue,
  ) {}

  isOver(): boolean {
    return this.#running.signal.aborted;
  }
  /** Nothing is started any more. */
  end(): void {
    this.#running.abort();
  }
  at(ms: number, task: () => void): void {
    void this.universe.sleep(ms).then(() => {
      if (!this.isOver()) task();
    });
  }

  /** Something that `settled` waits for. */
  began(work: Promise<unknown>): void {
    this.#underWay.add(work);
    void work.then(() => this.#underWay.delete(work));
  }
  /** Resolves when all of it has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  body(producer: number, key: number): Body {
    const body = { id: ++this.#id, producer, key };
    const { padding = [] } = this.plan.socket ?? {};
    const bytes = padding[body.id % padding.length] ?? 0;
    return bytes > 0 ? { ...body, padding: 'x'.repeat(bytes) } : body;
  }

  queueAt(index: number): string {
    return this.plan.queues[index]?.name ?? 'q0';
  }

  /** What happens to a message depends on the message and how often it was tried, and on nothing else. */
  chanceOf({ id }: Body, salt: number): { readonly chance: Random; readonly run: number } {
    const run = 1 + (this.#runs.get(id) ?? 0);
    this.#runs.set(id, run);
    return { chance: new Random(this.plan.seed * 7919 + id * 131 + run * 17 + salt), run };
  }

  /** May a consumer error with this? When the client closes, or a first attach is refused for good. */
  mayStop(error: unknown): boolean {
    if (!(error instanceof InstanceQueueError)) return false;
    return error.code === 'CONNECTION_CLOSED' || (error.replyCode !== undefined && !error.retryable);
  }
}
