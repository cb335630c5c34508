import { Subject, filter, firstValueFrom, map, switchMap, takeUntil, type Observable } from 'rxjs';
import type { Scene } from './scene';
import type { Blow, Trouble } from './troubles';

/** A trouble as the page shows it. */
export interface TroubleState extends Pick<Trouble, 'id' | 'title' | 'hint' | 'group' | 'needs' | 'lasts'> {
  /** `running`: it lasts. `recovering`: it is over, or has happened; waiting for the first new message. */
  readonly status: 'idle' | 'running' | 'recovering' | 'recovered' | 'failed';
  /** When this status began, wall clock. */
  readonly since: number;
  /** ms from when it happened, or was over, to the first new message. */
  readonly recovered?: number;
  readonly note?: string;
  /** Why it cannot be had here. */
  readonly unavailable?: string;
}

/** Makes trouble, and watches how it ends. */
export class Runner {
  readonly #scene: Scene;
  readonly #troubles: ReadonlyMap<string, Trouble>;
  readonly #states = new Map<string, TroubleState>();
  readonly #state = new Subject<TroubleState>();
  readonly #running = new Set<Promise<void>>();
  readonly #end = new AbortController();
  readonly #ended = new Subject<void>();

  constructor(scene: Scene, troubles: readonly Trouble[]) {
    this.#scene = scene;
    this.#troubles = new Map(troubles.map((trouble) => [trouble.id, trouble]));
    const foreign = scene.broker.how === 'url';
    for (const { id, title, hint, group, needs, lasts, control } of troubles) {
      const unavailable = 'Needs a broker of its own: unset AMQP_URL';
      this.#states.set(id, {
        ...{ id, title, hint, group, status: 'idle', since: Date.now() },
        ...(needs && { needs }),
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

  /** Begins it, or says why not. */
  begin(id: string): 'begun' | 'unknown' | 'busy' | 'unavailable' {
    const trouble = this.#troubles.get(id);
    const state = this.#states.get(id);
    if (!trouble || !state) return 'unknown';
    if (state.unavailable !== undefined) return 'unavailable';
    if (this.#end.signal.aborted || this.#isBusy(state)) return 'busy';
    const running = this.#run(trouble).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return 'begun';
  }

  /** Mends what is broken, and takes nothing new. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.#ended.next();
    await Promise.all(this.#running);
  }

  #isBusy({ id, needs }: TroubleState): boolean {
    return this.states.some(
      (other) =>
        (other.status === 'running' && needs !== undefined && other.needs === needs) ||
        (other.id === id && (other.status === 'running' || other.status === 'recovering')),
    );
  }

  async #run(trouble: Trouble): Promise<void> {
    const log = this.#scene.log.logger.child({ trouble: trouble.id });
    log.warn('trouble begins');
    this.#set(trouble.id, { status: 'running' });
    try {
      const blow = await trouble.act(this.#scene, this.#end.signal);
      const note = blow.note !== undefined && { note: blow.note };
      this.#set(trouble.id, { status: 'recovering', ...note });
      const recovered = await this.#recovery(blow);
      if (recovered === undefined) return;
      this.#set(trouble.id, { status: 'recovered', recovered, ...note });
      log.info({ ms: recovered, ...note }, 'recovered');
    } catch (error) {
      const note = error instanceof Error ? error.message : String(error);
      this.#set(trouble.id, { status: 'failed', note });
      log.error({ note }, 'trouble failed');
    }
  }

  /** Until a message came that was sent since; while nothing is to come, until one was confirmed. */
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
