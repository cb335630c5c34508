import { map, NEVER, tap, type Observable } from 'rxjs';
import type { ProducerOptions } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import { MemoryTransport } from '../../../lib/testing/memory/memory-transport';
import type { Endpoint } from '../../../lib/transport/endpoints';
import type { Link, OutboundChannel } from '../../../lib/transport/transport';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { toQueue } from '../../support/memory-producer';
import { outcomes } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

/** Keeps the channels for publishing. */
class Counting extends MemoryTransport {
  readonly channels: OutboundChannel[] = [];
  /** Does the broker confirm nothing? */
  silent = false;
  override dial(endpoint: Endpoint): Observable<Link> {
    return super.dial(endpoint).pipe(
      map((link) => {
        const kept$ = link.openOutbound().pipe(
          tap((channel) => {
            this.channels.push(channel);
            if (this.silent) Object.assign(channel, { verdicts$: NEVER });
          }),
        );
        return Object.assign(link, { openOutbound: () => kept$ });
      }),
    );
  }
  /** How many of them are open. */
  get open(): number {
    return this.channels.filter(({ ended }) => !ended).length;
  }
}

function producing(options?: ProducerOptions, silent = false) {
  const transports: Counting[] = [];
  const counting = (host: ConstructorParameters<typeof Counting>[0]): Counting => {
    const transport = Object.assign(new Counting(host), { silent });
    transports.push(transport);
    return transport;
  };
  const broker = new MemoryBroker({ transport: counting });
  broker.declare({ name: 'orders' });
  const queue = closing(new FakeInstanceQueue({ broker }));
  const open = (): number => transports.reduce((sum, transport) => sum + transport.open, 0);
  return { broker, queue, producer: queue.producer(options), open };
}

describe('while a producer opens, a listener', () => {
  it('may send: all goes over one channel', async () => {
    const { queue, producer, open } = producing();
    const sends: Promise<unknown>[] = [];
    queue.once('connecting', () => void sends.push(producer.send(toQueue)));
    const states = collect(producer.state$);
    sends.push(producer.send(toQueue));
    await later();
    expect(await outcomes(sends)).toEqual(['confirmed', 'confirmed']);
    expect(states.values.map(({ status }) => status)).toEqual(['idle', 'opening', 'open']);
    expect(open()).toBe(1);
  });

  it('may send: all is settled when the producer is closed, though the broker confirms nothing', async () => {
    const { queue, producer } = producing({ declare: false }, true);
    const sends: Promise<string[]>[] = [];
    queue.once('connecting', () => void sends.push(outcomes([producer.send(toQueue)])));
    sends.push(outcomes([producer.send(toQueue)]));
    await later();
    const closed = producer.close({ drainTimeout: 0 });
    await later();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 2 });
    expect(await Promise.all(sends)).toEqual([['PUBLISH_CLOSED'], ['PUBLISH_CLOSED']]);
  });

  it('may close it: no channel is left', async () => {
    const { producer, open } = producing();
    producer.state$.subscribe(({ status }) => {
      if (status === 'opening') void producer.close();
    });
    const sent = producer.send(toQueue);
    expect(await outcomes([sent])).toEqual(['PUBLISH_CLOSED']);
    await later();
    expect(open()).toBe(0);
  });
});

describe('a signal that a listener aborts in the middle of a send', () => {
  it('rejects the send that opens the producer', async () => {
    const { broker, producer } = producing();
    const aborting = new AbortController();
    producer.state$.subscribe(({ status }) => {
      if (status === 'opening') aborting.abort();
    });
    const sent = outcomes([producer.send(toQueue, { signal: aborting.signal })]);
    await later();
    expect(await sent).toEqual(['PUBLISH_ABORTED']);
    expect([broker.published, producer.outbox]).toEqual([[], { queued: 0, unconfirmed: 0, bytes: 0 }]);
  });

  it('rejects the send that an older message was dropped for, and those behind it', async () => {
    const { broker, producer } = producing({ outbox: { limit: 2, overflow: 'drop-oldest' } });
    const aborting = new AbortController();
    producer.once('dropped', () => {
      aborting.abort();
    });
    const sends = outcomes([producer.send(toQueue), producer.send(toQueue)]);
    const together = producer.sendAll([toQueue, toQueue], { signal: aborting.signal });
    const failed = expect(together).rejects.toMatchObject({
      failures: [{ code: 'PUBLISH_ABORTED' }, { code: 'PUBLISH_ABORTED' }],
    });
    await later();
    expect(await sends).toEqual(['OUTBOX_FULL', 'confirmed']);
    await failed;
    expect(broker.published).toHaveLength(1);
  });
});
