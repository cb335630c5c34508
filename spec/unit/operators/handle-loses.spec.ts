import { pino } from 'pino';
import { Subject, type Observable } from 'rxjs';
import { handle, type Delivery } from 'instance-queue';
import { ChannelDelivery, type DeliveryChannel } from '../../../lib/consumer/channel-delivery';
import { Arrival } from '../../../lib/amqp/wire/arrival';

const HEADER = Buffer.concat([Buffer.from([2, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0]), Buffer.alloc(8), Buffer.from([0, 0])]);

/** A channel whose end is told by the test. */
class Channel implements DeliveryChannel {
  readonly queue = 'q';
  readonly prefetch = 10;
  readonly log = pino({ level: 'silent' });
  readonly draining = false;
  readonly cause = undefined;
  ended = false;
  readonly #deliveries: ChannelDelivery<string>[] = [];
  readonly #listeners = new Set<() => void>();

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  settle(): boolean {
    return !this.ended;
  }
  stale(): void {
    // Nobody asks.
  }
  deliver(body: string): Delivery<string> {
    const names = { consumerTag: 't', exchange: '', routingKey: 'q' };
    const tag = this.#deliveries.length + 1;
    const raw = new Arrival(HEADER, names, tag, false, 0, HEADER.length, Buffer.from(body), () => {
      throw new Error('nobody asks');
    });
    const delivery = new ChannelDelivery(this, raw, body);
    this.#deliveries.push(delivery);
    return delivery;
  }
  end(): void {
    this.ended = true;
    for (const delivery of this.#deliveries) ChannelDelivery.lose(delivery);
    for (const listener of [...this.#listeners]) listener();
  }
}

describe('a channel that goes while handle works on what came on it', () => {
  it('aborts also what has failed and whose verdict is still out', () => {
    const channel = new Channel();
    const source$ = new Subject<Delivery<string>>();
    const signals: AbortSignal[] = [];
    const work = (_: unknown, { signal }: { readonly signal: AbortSignal }): never => {
      signals.push(signal);
      throw new Error('work');
    };
    source$.pipe(handle(work, { onError: () => new Promise(() => undefined) })).subscribe();
    source$.next(channel.deliver('a'));
    channel.end();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('leaves alone what ends while another one is given up', () => {
    const channel = new Channel();
    const source$ = new Subject<Delivery<string>>();
    const signals: AbortSignal[] = [];
    const results = [new Subject<string>(), new Subject<string>()] as const;
    const work = (
      { body }: { readonly body: string },
      { signal }: { readonly signal: AbortSignal },
    ): Observable<string> => {
      signals.push(signal);
      return results[body === 'a' ? 0 : 1];
    };
    const emitted: string[] = [];
    source$.pipe(handle(work)).subscribe(({ message }) => {
      emitted.push(message.body);
      if (message.body === 'a') results[1].complete();
    });
    source$.next(channel.deliver('a'));
    source$.next(channel.deliver('b'));
    channel.end();
    expect(emitted).toEqual(['a', 'b']);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });
});
