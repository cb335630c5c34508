import { createHash } from 'node:crypto';
import type { Confirmation } from 'instance-queue';

/** The largest number of examples shown of each kind. */
const SHOWN = 5;

/**
 * What became of each numbered message: published, confirmed, settled, dead-lettered. In typed arrays allocated in advance, so that
 * growth of the heap is growth of the library.
 */
export class Book {
  readonly #ids: Float64Array;
  /** The number of times it was published; 0: not confirmed. */
  readonly #attempts: Uint8Array;
  readonly #acked: Uint8Array;
  readonly #rejected: Uint8Array;
  /** Acks and rejects in flight at a loss, which the broker may or may not have received. */
  readonly #perhapsAcked: Uint8Array;
  readonly #perhapsRejected: Uint8Array;
  readonly #dead: Uint8Array;
  readonly #wrong: string[] = [];
  #next = 0;
  #duplicates = 0;

  constructor(capacity: number) {
    const column = (): Uint8Array => new Uint8Array(capacity);
    this.#ids = new Float64Array(capacity);
    this.#attempts = column();
    this.#acked = column();
    this.#rejected = column();
    this.#perhapsAcked = column();
    this.#perhapsRejected = column();
    this.#dead = column();
  }

  get sent(): number {
    return this.#next;
  }
  /** Settled more than once. */
  get duplicates(): number {
    return this.#duplicates;
  }

  /** Takes the next number. */
  send(): number {
    if (this.#next === this.#ids.length) throw new Error('The book is full: it was made for a shorter run');
    return this.#next++;
  }

  confirmed(n: number, { messageId, attempts }: Confirmation): void {
    this.#identify(n, messageId, 'confirmed');
    if (this.#attempts[n] !== 0) this.#complain(`${n} was confirmed twice`);
    this.#attempts[n] = Math.min(attempts, 255);
  }

  refused(n: number, error: unknown): void {
    this.#complain(`${n} was not confirmed: ${String(error)}`);
  }

  /** Records a delivery. A message that is known to be settled as often as it was published must not be delivered again. */
  delivered(n: number, id: string | undefined): void {
    this.#identify(n, id, 'delivered');
    const attempts = this.#attempts[n] ?? 0;
    if (attempts > 0 && this.#settled(n) >= attempts)
      this.#complain(`${n} was published ${attempts} times, settled for good as often, and delivered again`);
  }

  /** Records an ack or a reject. Not `certain`: the link was lost before the broker is known to have received it. */
  settled(n: number, how: 'ack' | 'reject', certain: boolean): void {
    const column =
      how === 'ack' ? (certain ? this.#acked : this.#perhapsAcked) : certain ? this.#rejected : this.#perhapsRejected;
    if (this.#settled(n) + this.#perhaps(n) > 0) this.#duplicates++;
    column[n] = (column[n] ?? 0) + 1;
  }

  /** Records a message found in the dead-letter queue. */
  deadLettered(n: number, id: string | undefined): void {
    this.#identify(n, id, 'dead-lettered');
    this.#dead[n] = (this.#dead[n] ?? 0) + 1;
  }

  /** All violations. */
  complaints(): string[] {
    const wrong = { unconfirmed: [], lost: [], twice: [], dead: [] } as Record<string, number[]>;
    for (let n = 0; n < this.#next; n++) {
      const attempts = this.#attempts[n] ?? 0;
      const [rejected, dead] = [this.#rejected[n] ?? 0, this.#dead[n] ?? 0];
      if (attempts === 0) wrong['unconfirmed']?.push(n);
      if (this.#settled(n) + this.#perhaps(n) === 0) wrong['lost']?.push(n);
      if (attempts > 0 && this.#settled(n) > attempts) wrong['twice']?.push(n);
      if (dead < rejected || dead > rejected + (this.#perhapsRejected[n] ?? 0)) wrong['dead']?.push(n);
    }
    const ids = this.#ids.subarray(0, this.#next).filter((id) => id !== 0);
    const shared = ids.length - new Set(ids).size;
    return [
      ...this.#wrong,
      ...numbered('never confirmed nor rejected', wrong['unconfirmed']),
      ...numbered('lost: never settled', wrong['lost']),
      ...numbered('settled for good more often than published', wrong['twice']),
      ...numbered('not as often among the dead letters as rejected', wrong['dead']),
      ...(shared > 0 ? [`${shared} messages share their messageId with another`] : []),
    ];
  }

  #settled(n: number): number {
    return (this.#acked[n] ?? 0) + (this.#rejected[n] ?? 0);
  }
  #perhaps(n: number): number {
    return (this.#perhapsAcked[n] ?? 0) + (this.#perhapsRejected[n] ?? 0);
  }

  /** Expects that all copies of a message have its id. */
  #identify(n: number, id: string | undefined, what: string): void {
    if (n >= this.#next || id === undefined) this.#complain(`${n} was ${what} and never sent, or has no messageId`);
    else {
      const known = this.#ids[n];
      const digest = createHash('sha1').update(id).digest().readUIntBE(0, 6);
      if (known === 0) this.#ids[n] = digest;
      else if (known !== digest) this.#complain(`${n} was ${what} with another messageId`);
    }
  }

  #complain(text: string): void {
    if (this.#wrong.length < SHOWN * 2) this.#wrong.push(text);
  }
}

function numbered(what: string, numbers: readonly number[] = []): string[] {
  const { length } = numbers;
  if (length === 0) return [];
  return [`${length} ${what}: ${numbers.slice(0, SHOWN).join(', ')}${length > SHOWN ? ', …' : ''}`];
}
