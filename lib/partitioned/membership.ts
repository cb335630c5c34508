import { randomBytes } from 'node:crypto';
import { Subject, type Subscription, exhaustMap, filter, interval, mergeWith, switchMap, timer } from 'rxjs';
import type { Connection } from '../connection/connection';
import { consuming } from '../consumer/consume';
import { resolveConsumeOptions } from '../consumer/consume-options';
import type { ConsumeSubscription } from '../consumer/consume-subscription';
import type { ConsumerState } from '../consumer/consumer-state';
import { PublishError } from '../errors';
import { isObject } from '../options';
import { Producer } from '../producer/producer';
import { StateSubject } from '../reactive/state-subject';
import { type Announcement, EMPTY_GROUP, type Group, type Member, type Plan } from './group';
import { planBy, received, watchedBy, withoutAddress } from './group';
import { exchangesOf, presenceExchange, type PartitionLayout } from './partition-topology';

/** ms after joining in which the others answer, before this member may make a plan. */
const JOIN_FOR = 200;
/** ms between two looks whether others are still there. */
const WATCH_EVERY = 500;
/** ms after which everyone announces itself again, in case that an announcement was lost. */
const REPEAT_EVERY = 5000;
/** ms for an announcement to be confirmed. It is repeated anyway. */
const SEND_WITHIN = 2000;

export interface MembershipOptions {
  readonly layout: PartitionLayout;
  readonly consuming: Connection;
  readonly producing: Connection;
  /** The presence could not be declared, or the connection ended. */
  readonly failed: (error: unknown) => void;
}

/**
 * One member of the group that shares the partitions of a queue.
 *
 * Its presence at the broker is an exclusive queue on the consuming connection: as long as it exists the broker keeps the member's
 * consumers, too. The queue is bound to a fanout exchange, over which members announce themselves and their plans. Each member sends
 * its announcement to the next one, and to one of the rest, every 500 ms, as a mandatory message; when that comes back the queue is gone,
 * and so is the member. No clock decides about that, so that a member that is only slow keeps its partitions.
 */
export class Membership {
  readonly id = `${Date.now().toString(36).padStart(9, '0')}-${randomBytes(6).toString('hex')}`;
  readonly #options: MembershipOptions;
  readonly #exchange: string;
  readonly #group = new StateSubject<Group>(EMPTY_GROUP);
  readonly #state = new StateSubject<ConsumerState>(Object.freeze({ status: 'detached' }));
  readonly #producer: Producer;
  readonly #attached = new Subject<void>();
  #presence: ConsumeSubscription<unknown> | undefined;
  #running: Subscription | undefined;
  #address: string | undefined;
  #holding: readonly number[] = [];
  /** How often it has looked for others. */
  #turn = 0;
  /** The others have had the time to answer. */
  #joined = false;
  #left = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#exchange = presenceExchange(options.layout.name);
    this.#producer = new Producer(
      options.producing,
      { declare: false, onUnknown: 'reject', onNack: 'reject', persistent: false, timeout: SEND_WITHIN },
      { internal: true },
    );
  }

  /** Hot. Emits: what is known of the group, then each change. Completes: when this member has left. */
  get group$(): StateSubject<Group>['value$'] {
    return this.#group.value$;
  }
  get group(): Group {
    return this.#group.value;
  }
  /** Hot. Emits: the state of the presence, then each new one. Completes: when it has ended. */
  get state$(): StateSubject<ConsumerState>['value$'] {
    return this.#state.value$;
  }
  get state(): ConsumerState {
    return this.#state.value;
  }

  /** Joins, and joins again after each loss of the connection. */
  join(): void {
    const { layout, consuming: connection, failed } = this.#options;
    const bindings = [{ exchange: this.#exchange, queue: '' }];
    const options = resolveConsumeOptions<unknown>({
      queue: { name: '', exclusive: true },
      topology: { ...exchangesOf(layout), bindings },
      tagPrefix: `instance-queue-${this.id}`,
      noAck: true,
    });
    const repeat$ = this.#attached.pipe(
      switchMap(() => interval(REPEAT_EVERY)),
      filter(() => this.#address !== undefined),
    );
    this.#running = this.#attached.pipe(switchMap(() => timer(JOIN_FOR))).subscribe(() => {
      this.#joined = true;
      this.#changed(this.group);
    });
    this.#running.add(
      repeat$.subscribe(() => {
        this.#announce();
      }),
    );
    this.#running.add(
      interval(WATCH_EVERY)
        .pipe(
          mergeWith(this.#attached),
          exhaustMap(() => this.#watch()),
        )
        .subscribe(),
    );
    const presence$ = consuming(connection, { ...options, internal: true }, (subscription) => {
      this.#presence = subscription;
      subscription.state$.subscribe((state) => {
        this.#presenceIs(state);
      });
    });
    presence$.subscribe({
      next: ({ body }) => {
        if (isAnnouncement(body)) this.#received(body);
      },
      error: failed,
    });
  }

  /** The partitions that this member holds now; it announces a change. */
  hold(holding: readonly number[]): void {
    if (holding.join() === this.#holding.join()) return;
    this.#holding = holding;
    this.#announce();
  }

  /** Announces that this member stops. It goes on announcing which partitions it still holds. */
  leave(): void {
    this.#left = true;
    this.#announce();
  }

  /**
   * Ends the presence. Resolves when the last announcements are confirmed, or after `within` ms: without them the others find out by
   * themselves.
   */
  async end(within: number): Promise<void> {
    this.#running?.unsubscribe();
    const gone = this.#address;
    if (gone !== undefined) void this.#send(this.#exchange, '', this.#announcement({ gone: [gone] }));
    await this.#producer.close({ drainTimeout: Math.min(within, SEND_WITHIN) });
    this.#address = undefined;
    await this.#presence?.close(0);
    this.#group.end(this.group);
    this.#state.end(this.state);
  }

  #presenceIs(state: ConsumerState): void {
    this.#state.next(state);
    // While the connection closes, the queue is gone before the partitions are free: there is still something to announce.
    if (state.status === 'draining' || state.status === 'stopped') return;
    this.#address = state.status === 'attached' ? state.queue : undefined;
    this.#joined = false;
    if (this.#address === undefined) return;
    this.#announce({ hello: true });
    this.#changed(this.group);
    this.#attached.next();
  }

  #received(announcement: Announcement): void {
    const { member, hello, gone = [] } = announcement;
    const address = this.#address;
    if (member.id === this.id || address === undefined) return;
    if (hello === true) void this.#send('', member.address, this.#announcement());
    this.#changed(received(this.group, announcement));
    // Somebody believes that this member is gone.
    if (gone.includes(address)) this.#announce({ hello: true });
  }

  /** Writes the group, with this member as it is now, and with a new plan if it has to make one. */
  #changed(group: Group): void {
    const me = this.#me();
    const withMe = me ? received(group, { member: me }) : group;
    const plan = this.#joined ? planBy(this.id, withMe, this.#options.layout.partitions) : undefined;
    this.#group.next(plan ? { ...withMe, plan } : withMe);
    if (plan) this.#announce();
  }

  async #watch(): Promise<void> {
    if (this.#address === undefined) return;
    const watched = watchedBy(this.id, this.group, this.#turn++);
    await Promise.all(watched.map((member) => this.#lookFor(member)));
  }

  async #lookFor({ address }: Member): Promise<void> {
    if (await this.#send('', address, this.#announcement())) return;
    this.#changed(withoutAddress(this.group, address));
    this.#announce({ gone: [address] });
  }

  #me(): Member | undefined {
    if (this.#address === undefined) return undefined;
    const me = { id: this.id, address: this.#address, holding: this.#holding };
    return this.#left ? { ...me, leaving: true } : me;
  }

  #announcement(more: Pick<Announcement, 'hello' | 'gone'> = {}): Announcement | undefined {
    const member = this.#me();
    return member && { member, plan: this.group.plan, ...more };
  }

  #announce(more: Pick<Announcement, 'hello' | 'gone'> = {}): void {
    void this.#send(this.#exchange, '', this.#announcement(more));
  }

  /** Resolves with `false` if the broker knows no queue that it could go to, else with `true`; never rejects. */
  async #send(exchange: string, routingKey: string, announcement: Announcement | undefined): Promise<boolean> {
    if (!announcement) return true;
    try {
      await this.#producer.sendUnchecked({ exchange, routingKey, body: announcement });
      return true;
    } catch (error) {
      return !(error instanceof PublishError && error.code === 'PUBLISH_RETURNED');
    }
  }
}

/** Anyone who may publish to the exchange can send something else. */
function isAnnouncement(body: unknown): body is Announcement {
  if (!isObject(body) || !isObject(body['member'])) return false;
  const { id, address, holding } = body['member'];
  const { plan, gone = [] } = body;
  return (
    typeof id === 'string' &&
    typeof address === 'string' &&
    Array.isArray(holding) &&
    Array.isArray(gone) &&
    (plan === undefined || isPlan(plan))
  );
}

const isPlan = (value: unknown): value is Plan =>
  isObject(value) &&
  Number.isSafeInteger(value['version']) &&
  typeof value['by'] === 'string' &&
  Array.isArray(value['owners']) &&
  value['owners'].every((owner) => typeof owner === 'string');
