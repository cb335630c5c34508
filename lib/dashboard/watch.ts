import {
  Subject,
  concat,
  defer,
  interval,
  map,
  merge,
  of,
  share,
  takeUntil,
  type Observable,
  type Subscription,
} from 'rxjs';
import type { Metrics } from '../client/metrics';
import type { Health } from '../health/health';
import { EventLog } from './event-log';
import { phaseOf } from './phase';
import { Rates, type Point } from './rates';
import { Timeline, WINDOW } from './timeline';
import { viewOf, type HealthView, type PageEvent, type Present } from './view';

/** ms between two samples. */
const EVERY = 500;
/** ms without samples after which the charts start afresh. */
const GAP = 2000;
const ROLES = ['producer', 'consumer'] as const;

/** Anything that has health and metrics: an `InstanceQueue`. */
export interface HasMetrics {
  readonly health: Health;
  /** Hot. Emits: the present health, then each change, as `InstanceQueue.health$`. Completes: when it is closed. Errors: never. */
  readonly health$: Observable<Health>;
  readonly metrics: Metrics;
}

/**
 * Watches a queue for any number of pages. It subscribes to `health$`, which emits on changes, from the start, and reads
 * `metrics` twice a second while a page is open.
 */
export class Watch {
  readonly #queue: HasMetrics;
  readonly #title: string;
  readonly #timelines = { producer: new Timeline(), consumer: new Timeline() };
  readonly #log = new EventLog();
  readonly #change = new Subject<PageEvent>();
  readonly #end = new Subject<void>();
  readonly #samples$: Observable<PageEvent>;
  #health: HealthView;
  #points: readonly Point[] = [];
  #ended = false;

  constructor(queue: HasMetrics, title: string) {
    this.#queue = queue;
    this.#title = title;
    this.#health = viewOf(queue.health);
    this.#samples$ = this.#sampling().pipe(share());
    this.#follow();
  }

  /**
   * Cold. Emits: the present, then each change, then `end` when the queue is closed. Completes: after `end`. Errors: never.
   */
  get event$(): Observable<PageEvent> {
    return defer(() => {
      const present$ = of<PageEvent>(['present', this.#present()]);
      const end$ = of<PageEvent>(['end', null]);
      const changes$ = merge(this.#change, this.#samples$.pipe(takeUntil(this.#end)));
      return this.#ended ? concat(present$, end$) : concat(present$, changes$, end$);
    });
  }

  #follow(): Subscription {
    return this.#queue.health$.subscribe({
      next: (health) => {
        this.#health = viewOf(health);
        this.#change.next(['health', this.#health]);
        for (const role of ROLES) {
          const spans = this.#timelines[role].enter(phaseOf(role, health));
          if (spans.length > 0) this.#change.next(['spans', { role, spans }]);
        }
        for (const line of this.#log.health(health)) this.#change.next(['log', line]);
      },
      complete: () => {
        this.#ended = true;
        this.#end.next();
        this.#change.complete();
      },
    });
  }

  #sampling(): Observable<PageEvent> {
    return defer(() => {
      const rates = new Rates(this.#queue.metrics);
      this.#log.metrics(this.#queue.metrics);
      return interval(EVERY).pipe(
        map((): PageEvent => {
          const { metrics } = this.#queue;
          const point = rates.next(metrics);
          this.#points = [...this.#points, point].slice(-WINDOW / EVERY);
          for (const line of this.#log.metrics(metrics)) this.#change.next(['log', line]);
          return ['sample', { point, metrics }];
        }),
      );
    });
  }

  #present(): Present {
    // A chart would connect the samples from before a period without pages to the new ones. A reload takes less time.
    if ((this.#points.at(-1)?.at ?? 0) < Date.now() - GAP) this.#points = [];
    const { producer, consumer } = this.#timelines;
    return {
      title: this.#title,
      window: WINDOW,
      now: Date.now(),
      health: this.#health,
      spans: { producer: producer.spans, consumer: consumer.spans },
      points: this.#points,
      metrics: this.#queue.metrics,
      log: this.#log.lines,
    };
  }
}
