import { Subject, Subscription, interval, type Observable } from 'rxjs';
import type { Broker } from '../../compose/broker';
import { addressOf } from '../../compose/amqp-answer';
import type { Balance } from './books';
import type { Latency, Meter } from './meter';
import type { FaultRun, Runner, TroubleState } from './runner';
import type { Scene } from './scene';

/** ms between two samples. */
const EVERY = 500;
/** The period that the page shows, in ms. */
const WINDOW = 120_000;

interface Sample {
  readonly latency: Latency;
  readonly balance: Balance;
}

/** The events sent to the panel, by name; their data is sent as JSON. */
export interface PanelEvents {
  /** What a panel gets when it opens. */
  readonly present: {
    readonly broker: string;
    readonly window: number;
    /** Wall clock of the demo. */
    readonly now: number;
    readonly paused: boolean;
    readonly troubles: readonly TroubleState[];
    readonly run: FaultRun;
    readonly latencies: readonly Latency[];
    readonly balance: Balance;
  };
  readonly sample: Sample;
  readonly trouble: TroubleState;
  readonly run: FaultRun;
  readonly paused: boolean;
  /** The demo is ending; `balance` is missing until everything is counted. */
  readonly end: { readonly balance?: Balance };
}
export type PanelEvent = {
  [Name in keyof PanelEvents]: readonly [name: Name, data: PanelEvents[Name]];
}[keyof PanelEvents];

/** Watches what the dashboard of the library does not: what became of each message, its latency, and the faults. */
export class PanelWatch {
  readonly #scene: Scene;
  readonly #runner: Runner;
  readonly #event = new Subject<PanelEvent>();
  readonly #watching = new Subscription();
  #latencies: readonly Latency[] = [];

  constructor(scene: Scene, runner: Runner, meter: Meter) {
    this.#scene = scene;
    this.#runner = runner;
    const { books, traffic } = scene;
    this.#watching.add(
      interval(EVERY).subscribe(() => {
        const latency = meter.read();
        this.#latencies = [...this.#latencies, latency].slice(-WINDOW / EVERY);
        this.#event.next(['sample', { latency, balance: books.balance() }]);
      }),
    );
    this.#watching.add(runner.state$.subscribe((state) => this.#event.next(['trouble', state])));
    this.#watching.add(runner.run$.subscribe((run) => this.#event.next(['run', run])));
    this.#watching.add(traffic.paused$.subscribe((paused) => this.#event.next(['paused', paused])));
  }

  /** Hot. Emits: what changed since `present`. Completes: at the end. Errors: never. */
  get event$(): Observable<PanelEvent> {
    return this.#event.asObservable();
  }

  get present(): PanelEvents['present'] {
    const { broker, books, traffic } = this.#scene;
    return {
      broker: `RabbitMQ ${broker.version} at ${whereIs(broker)}`,
      window: WINDOW,
      now: Date.now(),
      paused: traffic.paused,
      troubles: this.#runner.states,
      run: this.#runner.run,
      latencies: this.#latencies,
      balance: books.balance(),
    };
  }

  /** Announces the end; with `over`, also the totals. */
  end(over: boolean): void {
    this.#event.next(['end', over ? { balance: this.#scene.books.balance() } : {}]);
    if (!over) return;
    this.#watching.unsubscribe();
    this.#event.complete();
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
