import type { Delivery, Settlement } from 'instance-queue';

/** A delivery without a channel: it remembers how it was settled, and tells the log that several may share. */
export interface FakeDelivery extends Delivery<string> {
  readonly log: readonly string[];
  /** As when its channel goes. */
  lose(): void;
}

class Fake implements FakeDelivery {
  readonly content: Buffer;
  readonly queue = 'orders';
  readonly exchange = '';
  readonly routingKey = 'orders';
  readonly properties = {};
  settled: Settlement | 'lost' | undefined;

  constructor(
    readonly body: string,
    readonly log: string[],
    readonly deliveryCount: number,
  ) {
    this.content = Buffer.from(body);
  }

  get redelivered(): boolean {
    return this.deliveryCount > 0;
  }

  ack(): boolean {
    return this.#settle('ack');
  }
  requeue(): boolean {
    return this.#settle('requeue');
  }
  release(): boolean {
    return this.#settle('release');
  }
  reject(): boolean {
    return this.#settle('reject');
  }

  lose(): void {
    this.settled ??= 'lost';
  }

  #settle(how: Settlement): boolean {
    if (this.settled !== undefined) return false;
    this.settled = how;
    this.log.push(`${how} ${this.body}`);
    return true;
  }
}

export function fakeDelivery(body: string, log: string[] = [], deliveryCount = 0): FakeDelivery {
  return new Fake(body, log, deliveryCount);
}

/** One per letter. */
export function deliveries(letters: string, log: string[] = []): FakeDelivery[] {
  return letters.split('').map((letter) => fakeDelivery(letter, log));
}
