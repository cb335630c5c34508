import { handle, type Consumer, type InstanceQueue } from 'instance-queue';
import {
  BehaviorSubject,
  Subject,
  firstValueFrom,
  interval,
  lastValueFrom,
  map,
  takeUntil,
  timer,
  type Observable,
} from 'rxjs';
import type { Books } from './books';
import type { Meter } from './meter';

/** ms between two messages. */
const EVERY = 20;
/** ms within which a message is confirmed, through every fault. */
const PATIENCE = 600_000;
/** ms of work on each message, and up to twice that. */
const WORK = 4;
const PREFETCH = 50;

interface Body {
  readonly n: number;
  /** Of the monotonic clock. */
  readonly sentAt: number;
}

/** An event of a message that was sent at `sentAt`. */
export interface Passage {
  readonly sentAt: number;
  readonly at: number;
}

/** The service that the dashboard watches: it sends and receives numbered messages. */
export class Traffic {
  readonly consumer: Consumer<Body>;
  readonly #queue: InstanceQueue;
  readonly #queueName: string;
  readonly #books: Books;
  readonly #meter: Meter;
  readonly #paused = new BehaviorSubject(false);
  readonly #stopSending = new Subject<void>();
  readonly #stopReceiving = new Subject<void>();
  readonly #confirmed = new Subject<Passage>();
  readonly #received = new Subject<Passage>();
  #work: Promise<unknown> | undefined;

  constructor(queue: InstanceQueue, queueName: string, books: Books, meter: Meter) {
    this.#queue = queue;
    this.#queueName = queueName;
    this.#books = books;
    this.#meter = meter;
    this.consumer = queue.consumer<Body>({
      queue: queueName,
      prefetch: PREFETCH,
      tagPrefix: 'dashboard',
      pause: this.#paused,
      until: this.#stopReceiving,
    });
    this.consumer.state$.subscribe(({ status }) => books.attached(status === 'attached'));
  }

  /** Hot. Emits: each confirmation. Completes and errors: never. */
  get confirmed$(): Observable<Passage> {
    return this.#confirmed.asObservable();
  }
  /** Hot. Emits: the first copy of each message. Completes and errors: never. */
  get received$(): Observable<Passage> {
    return this.#received.asObservable();
  }
  /** Hot. Emits: whether the consumer is paused, the present first. Completes and errors: never. */
  get paused$(): Observable<boolean> {
    return this.#paused.asObservable();
  }
  get paused(): boolean {
    return this.#paused.value;
  }

  start(): void {
    this.#work = lastValueFrom(
      this.consumer.deliveries$.pipe(
        handle(({ body }) => {
          this.#receive(body);
          return timer(WORK * (1 + Math.random())).pipe(map(() => undefined));
        }),
      ),
      { defaultValue: undefined },
      // The state of the consumer shows the error.
    ).catch(() => undefined);
    interval(EVERY)
      .pipe(takeUntil(this.#stopSending))
      .subscribe(() => void this.#send());
  }

  pause(yes: boolean): void {
    if (yes !== this.paused) this.#paused.next(yes);
  }

  /** Stops sending. Resolves when all confirmed messages have arrived, after `limit` ms at the latest. */
  async settle(limit: number): Promise<void> {
    this.#stopSending.next();
    this.pause(false);
    const deadline = performance.now() + limit;
    const unsettled = (): boolean => {
      const { open, onTheWay } = this.#books.balance();
      return open + onTheWay > 0;
    };
    while (unsettled() && performance.now() < deadline) await firstValueFrom(timer(20));
  }

  /** Drains the consumer. */
  async stop(): Promise<void> {
    this.#stopReceiving.next();
    await this.#work;
  }

  async #send(): Promise<void> {
    const n = this.#books.send();
    const sentAt = performance.now();
    try {
      const body: Body = { n, sentAt };
      await this.#queue.send({ queue: this.#queueName, body }, { timeout: PATIENCE });
      this.#books.confirm(n);
      this.#confirmed.next({ sentAt, at: performance.now() });
    } catch (error) {
      this.#books.fail(n, error);
    }
  }

  #receive({ n, sentAt }: Body): void {
    const at = performance.now();
    if (!this.#books.receive(n)) return;
    this.#meter.received(at - sentAt);
    this.#received.next({ sentAt, at });
  }
}
