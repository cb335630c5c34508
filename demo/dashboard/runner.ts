import {
  BehaviorSubject,
  Subject,
  filter,
  firstValueFrom,
  map,
  race,
  switchMap,
  takeUntil,
  timer,
  type Observable,
} from 'rxjs';
import type { Scene } from './scene';
import type { Blow, Trouble } from './troubles';

/** A fault as the page shows it. */
export interface TroubleState extends Pick<Trouble, 'id' | 'title' | 'hint' | 'group' | 'lasts'> {
  /** `running`: the fault lasts. `recovering`: it is over; the first new message has not arrived yet. */
  readonly status: 'idle' | 'running' | 'recovering' | 'recovered' | 'failed';
  /** When this status began, wall clock. */
  readonly since: number;
  /** ms from the end of the fault to the first new message. */
  readonly recovered?: number;
  readonly note?: string;
  /** Why it cannot be injected here. */
  readonly unavailable?: string;
}

/** All faults, one after the other. */
export interface FaultRun {
  readonly status: 'idle' | 'running' | 'done';
  readonly total: number;
  readonly rows: readonly { readonly title: string; readonly recovered?: number }[];
}

/** ms between two faults of a run. */
const PEACE = 1000;
/** ms after which a run gives up on a fault and continues with the next. */
const PATIENCE = 60_000;

/** Injects faults, one at a time, and measures how long recovery takes. */
export class Runner {
  readonly #scene: Scene;
  readonly #troubles: ReadonlyMap<string, Trouble>;
  readonly #states = new Map<string, TroubleState>();
  readonly #state = new Subject<TroubleState>();
  readonly #running = new Set<Promise<void>>();
  readonly #run = new BehaviorSubject<FaultRun>({ status: 'idle', total: 0, rows: [] });
  readonly #end = new AbortController();
  readonly #ended = new Subject<void>();

  constructor(scene: Scene, troubles: readonly Trouble[]) {
    this.#scene = scene;
    this.#troubles = new Map(troubles.map((trouble) => [trouble.id, trouble]));
    const foreign = scene.broker.how === 'url';
    for (const { id, title, hint, group, lasts, control } of troubles) {
      const unavailable = 'Needs a broker of its own: unset AMQP_URL';
      this.#states.set(id, {
        ...{ id, title, hint, group, status: 'idle', since: Date.now() },
        ...(lasts !== undefined && { lasts }),
        ...(control && foreign && { unavailable }),
      });
    }
  }

  get states(): readonly TroubleState[] {
    return [...this.#states.values()];
  }

  /** Hot. Emits: each state as it changes. Completes and errors: never. */
  get state$(): Observable<TroubleState> {
    return this.#state.asObservable();
  }

  /** Hot. Emits: the run of all faults, the present first, then each change. Completes and errors: never. */
  get run$(): Observable<FaultRun> {
    return this.#run.asObservable();
  }
  get run(): FaultRun {
    return this.#run.value;
  }

  /** Begins a run of all available faults. Returns the reason if it cannot. */
  beginAll(): 'begun' | 'busy' {
    if (this.#end.signal.aborted || this.run.status === 'running' || this.states.some(isUnderWay)) return 'busy';
    const running = this.#all().finally(() => this.#running.delete(running));
    this.#running.add(running);
    return 'begun';
  }

  /** Begins a fault. Returns the reason if it cannot. */
  begin(id: string): 'begun' | 'unknown' | 'busy' | 'unavailable' {
    const trouble = this.#troubles.get(id);
    const state = this.#states.get(id);
    if (!trouble || !state) return 'unknown';
    if (state.unavailable !== undefined) return 'unavailable';
    if (this.#end.signal.aborted || this.run.status === 'running' || this.states.some(isUnderWay)) return 'busy';
    const running = this.#inject(trouble).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return 'begun';
  }

  /** Undoes the active fault, and injects no more. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.#ended.next();
    await Promise.all(this.#running);
  }

  async #all(): Promise<void> {
    const troubles = [...this.#troubles.values()].filter(({ id }) => this.#states.get(id)?.unavailable === undefined);
    const { length: total } = troubles;
    this.#run.next({ status: 'running', total, rows: [] });
    for (const trouble of troubles) {
      if (this.#end.signal.aborted) break;
      await firstValueFrom(race(timer(PATIENCE), this.#inject(trouble)), { defaultValue: undefined });
      const { recovered } = this.#states.get(trouble.id) ?? {};
      const row = { title: trouble.title, ...(recovered !== undefined && { recovered }) };
      this.#run.next({ status: 'running', total, rows: [...this.run.rows, row] });
      await firstValueFrom(timer(PEACE).pipe(takeUntil(this.#ended)), { defaultValue: undefined });
    }
    this.#run.next({ ...this.run, status: 'done' });
  }

  async #inject(trouble: Trouble): Promise<void> {
    this.#set(trouble.id, { status: 'running' });
    try {
      const blow = await trouble.act(this.#scene, this.#end.signal);
      const note = blow.note !== undefined && { note: blow.note };
      this.#set(trouble.id, { status: 'recovering', ...note });
      const recovered = await this.#recovery(blow);
      if (recovered === undefined) return;
      this.#set(trouble.id, { status: 'recovered', recovered, ...note });
    } catch (error) {
      const note = error instanceof Error ? error.message : String(error);
      this.#set(trouble.id, { status: 'failed', note });
    }
  }

  /** Waits for the first message sent since then; while the consumer is paused, for the first confirmation. */
  #recovery({ at }: Blow): Promise<number | undefined> {
    if (this.#end.signal.aborted) return Promise.resolve(undefined);
    const { traffic } = this.#scene;
    const passages$ = traffic.paused$.pipe(switchMap((paused) => (paused ? traffic.confirmed$ : traffic.received$)));
    return firstValueFrom(
      passages$.pipe(
        filter(({ sentAt }) => sentAt >= at),
        map((passage) => Math.round(passage.at - at)),
        takeUntil(this.#ended),
      ),
      { defaultValue: undefined },
    );
  }

  #set(id: string, change: Pick<TroubleState, 'status' | 'recovered' | 'note'>): void {
    const before = this.#states.get(id);
    if (!before) return;
    const { recovered: _, note: __, ...rest } = before;
    const state: TroubleState = { ...rest, ...change, since: Date.now() };
    this.#states.set(id, state);
    this.#state.next(state);
  }
}

const isUnderWay = ({ status }: TroubleState): boolean => status === 'running' || status === 'recovering';
