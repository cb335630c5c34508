import type { InstanceQueue } from 'instance-queue';
import { Subject, Subscription, combineLatest, interval, type Observable } from 'rxjs';
import type { Broker } from '../../compose/broker';
import { addressOf } from '../../compose/amqp-answer';
import { type Meter, type Point } from './meter';
import { phaseOf } from './phase';
import { viewOf, type HealthView, type PageEvents, type Present, type Sample } from './present';
import type { Runner } from './runner';
import type { Scene } from './scene';
import { Timeline, WINDOW } from './timeline';

/** ms between two samples. */
const EVERY = 500;

/** One event for the page. */
export type PageEvent = { [Name in keyof PageEvents]: readonly [name: Name, data: PageEvents[Name]] }[keyof PageEvents];

/** Watches everything, and keeps what a page that comes later has to know. */
export class Watch {
  readonly #scene: Scene;
  readonly #runner: Runner;
  readonly #meter: Meter;
  readonly #timelines = { producer: new Timeline('producer'), consumer: new Timeline('consumer') };
  readonly #event = new Subject<PageEvent>();
  readonly #watching = new Subscription();
  #points: readonly Point[] = [];
  #sample: Sample;
  #health: HealthView;

  constructor(scene: Scene, runner: Runner, meter: Meter) {
    this.#scene = scene;
    this.#runner = runner;
    this.#meter = meter;
    this.#sample = this.#measure();
    this.#health = viewOf(scene.queue.health, scene.traffic.paused);
    this.#watching.add(this.#watchHealth(scene.queue));
    this.#watching.add(
      interval(EVERY).subscribe(() => {
        this.#sample = this.#measure();
        this.#points = [...this.#points, this.#sample.point].slice(-WINDOW / EVERY);
        this.#event.next(['sample', this.#sample]);
      }),
    );
    this.#watching.add(runner.state$.subscribe((state) => this.#event.next(['trouble', state])));
    this.#watching.add(scene.log.line$.subscribe((line) => this.#event.next(['log', line])));
  }

  /** Hot. Emits: what changed since `present`. Completes: at the end. Errors: never. */
  get event$(): Observable<PageEvent> {
    return this.#event.asObservable();
  }

  get present(): Present {
    const { broker, queueName, log } = this.#scene;
    const { producer, consumer } = this.#timelines;
    return {
      broker: { version: broker.version, where: whereIs(broker), queue: queueName },
      window: WINDOW,
      now: Date.now(),
      health: this.#health,
      spans: { producer: producer.spans, consumer: consumer.spans },
      points: this.#points,
      sample: this.#sample,
      troubles: this.#runner.states,
      log: log.lines,
    };
  }

  /** Tells that it is ending; with `over`, how it ended. */
  end(over: boolean): void {
    this.#event.next(['end', over ? { balance: this.#scene.books.balance() } : {}]);
    if (!over) return;
    this.#watching.unsubscribe();
    this.#event.complete();
  }

  #watchHealth(queue: InstanceQueue): Subscription {
    return combineLatest([queue.health$, this.#scene.traffic.paused$]).subscribe(([health, paused]) => {
      this.#health = viewOf(health, paused);
      this.#event.next(['health', this.#health]);
      for (const role of ['producer', 'consumer'] as const) {
        const spans = this.#timelines[role].enter(phaseOf(role, health));
        this.#event.next(['spans', { role, spans }]);
      }
    });
  }

  #measure(): Sample {
    const { books, queue } = this.#scene;
    return { point: this.#meter.read(), balance: books.balance(), metrics: queue.metrics };
  }
}

function whereIs({ how, url }: Broker): string {
  const address = addressOf(url);
  const places = {
    url: `${address}, of AMQP_URL`,
    docker: `${address}, in a container`,
    local: `${address}, a private node`,
  };
  return places[how];
}
