import { defineExchange, defineQueue, json, type PublishError } from 'instance-queue';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { MessageEncoder, type RouteNames } from '../../../lib/producer/encoded-message';

const orders = defineQueue({ name: 'orders', body: json() });
const events = defineExchange({ name: 'events', type: 'topic', messages: { paid: json() } });
const toOrders = { queue: orders, body: 1 };
const toEvents = { exchange: events, routingKey: 'paid', body: 1 };

/** An encoder whose names have seen these, and what it asks of them and of the connection. */
function encoding({ seen = [] as readonly string[], refuse = (_name: string): void => undefined, named = true } = {}) {
  const asked: string[] = [];
  const names: RouteNames = {
    seen: { queue: new Set(seen), exchange: new Set(seen) },
    checkMessage: ({ queue, exchange }) => {
      asked.push(`check ${queue ?? exchange}`);
      refuse(queue ?? exchange);
    },
    learn: ({ name }) => {
      asked.push(`learn ${name}`);
      refuse(name);
    },
  };
  const core = {
    learn: ({ name }: { readonly name: string }) => asked.push(`declare ${name}`),
    log: { debug: jest.fn(), isLevelEnabled: () => false },
  } as unknown as ConnectionCore;
  const defaults = { persistent: true, mandatory: true };
  const encoder = new MessageEncoder<unknown>(core, json(), defaults, named ? names : undefined);
  return { asked, encoder };
}
const throwing = (sentence: string) => (): never => {
  throw new Error(sentence);
};

describe('the names of a message', () => {
  it('are looked at if nobody has seen them: the queue, or else the exchange', () => {
    const { asked, encoder } = encoding({ seen: ['known'] });
    for (const route of [{ queue: 'known' }, { exchange: 'known' }, { queue: 'new' }, { exchange: 'new' }])
      encoder.encode({ ...route, body: 1 });
    // The default exchange of a queue route is no name that it gives.
    expect(asked).toEqual(['check new', 'check new']);
  });

  it('may be any where nobody knows names', () => {
    const { asked, encoder } = encoding({ named: false });
    expect(encoder.encode({ queue: 'orders', body: 1 }).queue).toBe('orders');
    expect(encoder.encode(toOrders).contract).toBe(orders);
    expect(asked).toEqual(['declare orders']);
  });

  it('refuse the message, when they are refused', () => {
    const { encoder } = encoding({ refuse: throwing('no such name') });
    expect(() => encoder.encode({ queue: 'ordres', body: 1 })).toThrow('no such name');
  });
});

describe('the contract of a message', () => {
  it('is learned once, however many messages have it: a queue by the connection, too', () => {
    const { asked, encoder } = encoding({ seen: ['orders', 'events'] });
    for (const message of [toOrders, toEvents, toOrders, toEvents]) encoder.encode(message);
    expect(asked).toEqual(['learn orders', 'declare orders', 'learn events']);
  });

  it('that is refused is learned with the next message again', () => {
    let refusing = true;
    const refuse = (): void => {
      if (refusing) throw new Error('another queue has that name');
    };
    const { asked, encoder } = encoding({ seen: ['orders'], refuse });
    expect(() => encoder.encode(toOrders)).toThrow('another queue has that name');
    refusing = false;
    encoder.encode(toOrders);
    expect(asked).toEqual(['learn orders', 'learn orders', 'declare orders']);
  });

  it('of a message that cannot be sent is not learned', () => {
    const { asked, encoder } = encoding();
    let error: unknown;
    try {
      encoder.encode({ queue: orders, body: 1n, messageId: 'wrong' });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'PUBLISH_INVALID', messageId: 'wrong' } satisfies Partial<PublishError>);
    expect(asked).toEqual([]);
  });
});
