import { defineExchange, defineQueue, json, type PublishError, type ExchangeSpec, type Topology } from 'instance-queue';
import { type ConnectionError } from '../../../lib/errors';
import { heldBytes } from '../../support/memory';
import { RouteDeclarations } from '../../../lib/producer/publishing-channel';
import { type Answers, refused, lost, sendOf, entryTo, onLink, core, throwing } from '../../support/publishing-channel';

describe('the queue of a message', () => {
  const declaring = (topology: Topology = {}, answers: Answers = {}, limited = false) => {
    const { core: connection, ...logged } = core({ channelsLimited: limited });
    const routes = new RouteDeclarations(connection, () => topology);
    const ensure = async (on = onLink(answers), queue = 'orders') => {
      const pending = routes.ensure(on.publishing, entryTo({ queue }).message);
      const during = on.publishing.ensuring;
      await pending;
      return { ...on, during };
    };
    return { ensure, ...logged };
  };

  it.each<[string, string, unknown[]]>([
    ['missing', 'missing', ['check orders', { name: 'orders' }]],
    ['there', 'there', ['check orders']],
  ])(
    'that no topology knows is declared if it is missing, and is ensured from then on: %s',
    async (_, is, expected) => {
      const { ensure, log } = declaring({}, { check: () => is });
      const { asked, during, publishing } = await ensure();
      expect(asked).toEqual(expected);
      expect([during, publishing.ensuring, [...publishing.ensured]]).toEqual(['orders', undefined, ['orders']]);
      expect(log.warn).not.toHaveBeenCalled();
    },
  );

  it('is declared as the topology knows it, behind its queue for dead letters', async () => {
    const spec = { name: 'orders', maxLength: 5, deadLetter: { queue: 'dead' } };
    const { ensure } = declaring({ queues: [spec] });
    expect((await ensure()).asked).toEqual(['check dead', { name: 'dead' }, spec]);
  });

  it.each([
    [
      'that is exclusive: it belongs to the connection of its consumer',
      { queues: [{ name: 'orders', exclusive: true }] },
      false,
    ],
    ['on a connection that may open no channel more', {}, true],
  ])('is trusted, and nothing is asked, %s', async (_, topology, limited) => {
    const { ensure, log } = declaring(topology, {}, limited);
    const { asked, publishing } = await ensure();
    expect(asked).toEqual([]);
    expect([...publishing.ensured]).toEqual(['orders']);
    expect(log.warn).not.toHaveBeenCalled();
  });

  it('of the broker itself needs nothing', () => {
    const routes = new RouteDeclarations(core().core, () => ({}));
    const { asked, publishing } = onLink();
    expect(routes.ensure(publishing, entryTo({ queue: 'amq.gen-1' }).message)).toBeUndefined();
    expect(routes.ensure(publishing, entryTo({ exchange: 'events' }).message)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('that the broker refuses to declare is trusted, with a warning each time', async () => {
    const err = refused(403);
    const { ensure, log } = declaring({}, { declare: throwing(err) });
    for (let times = 1; times <= 3; times++) {
      const { asked, publishing } = await ensure();
      expect(asked).toEqual(['check orders', { name: 'orders' }]);
      expect([publishing.ensuring, [...publishing.ensured]]).toEqual([undefined, ['orders']]);
      expect(log.warn).toHaveBeenCalledTimes(times);
    }
    expect(log.warn).toHaveBeenLastCalledWith({ err, queue: 'orders' }, 'cannot ensure the queue of a route: trusted');
    expect(log.error).not.toHaveBeenCalled();
  });

  /** A link that is lost, with this code or without one, as soon as a queue is declared on it. */
  const losing = (cause: ConnectionError) => {
    const on = onLink({
      declare: () => {
        on.link.lost = cause;
        throw refused(504);
      },
    });
    return on;
  };

  it('over which the broker closes two connections is not declared a third time, and that is an error in the log', async () => {
    const { ensure, log } = declaring();
    await ensure(losing(lost(541)));
    expect(log.error).not.toHaveBeenCalled();
    await ensure(losing(lost(541)));
    const facts = { err: refused(504), queue: 'orders' };
    expect(log.error.mock.calls).toEqual([
      [facts, 'the broker closes the connection over the queue of a route: trusted'],
    ]);
    const { asked, publishing } = await ensure();
    expect(asked).toEqual([]);
    expect([...publishing.ensured]).toEqual(['orders']);
    // It says nothing about another queue.
    expect((await ensure(onLink(), 'others')).asked).toEqual(['check others', { name: 'others' }]);
    expect(log.error).toHaveBeenCalledTimes(1);
    expect(log.warn).not.toHaveBeenCalled();
  });

  it('is declared again after connections that the broker did not close, and after a success in between', async () => {
    const { ensure, log } = declaring();
    for (let i = 0; i < 3; i++) await ensure(losing(lost()));
    await ensure(losing(lost(541)));
    await ensure();
    await ensure(losing(lost(541)));
    expect((await ensure()).asked).toEqual(['check orders', { name: 'orders' }]);
    expect(log.error).not.toHaveBeenCalled();
    expect(log.warn).not.toHaveBeenCalled();
  });
});

describe('the exchange of a contract', () => {
  const events = defineExchange({ name: 'events', type: 'topic', messages: { paid: json() } });
  const to = (exchange: ExchangeSpec) => entryTo({ exchange, routingKey: 'paid' }).message;
  const given = (answers?: Answers) => {
    const { core: connection, ...logged } = core();
    return { ...onLink(answers), ...logged, routes: new RouteDeclarations(connection, () => ({})) };
  };

  it('is declared once per channel', async () => {
    const { asked, log, publishing, routes } = given();
    const pending = routes.ensure(publishing, to(events));
    expect(publishing.ensuring).toBe('events');
    await pending;
    expect(publishing.ensuring).toBeUndefined();
    expect(asked).toEqual([{ exchanges: [events] }]);
    expect(publishing.exchanges.get(events)).toBe(true);
    expect(routes.ensure(publishing, to(events))).toBeUndefined();
    expect(log.warn).not.toHaveBeenCalled();
  });

  it('that every broker has is not declared, and neither is a queue contract by its exchange', () => {
    const { asked, publishing, routes } = given();
    const amq = defineExchange({ name: 'amq.topic', type: 'topic', messages: { paid: json() } });
    expect(routes.ensure(publishing, to(amq))).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('of a queue contract is declared as its queue', async () => {
    const { asked, publishing, routes } = given({ check: () => 'there' });
    await routes.ensure(publishing, entryTo({ queue: defineQueue({ name: 'orders', body: json() }) }).message);
    expect(asked).toEqual(['check orders']);
  });

  it('that the broker refuses is trusted, with a warning, unless the connection is lost anyway', async () => {
    const err = refused(403);
    const { link, log, publishing, routes } = given({ declare: throwing(err) });
    await routes.ensure(publishing, to(events));
    expect(publishing.exchanges.get(events)).toBe(false);
    const text = 'cannot declare the exchange of a contract: trusted';
    expect(log.warn.mock.calls).toEqual([[{ err, exchange: 'events' }, text]]);
    expect(routes.ensure(publishing, to(events))).toBeUndefined();
    link.lost = lost();
    publishing.exchanges.delete(events);
    await routes.ensure(publishing, to(events));
    expect([publishing.ensuring, log.warn.mock.calls.length]).toEqual([undefined, 1]);
  });
});

describe('the exchanges of contracts', () => {
  it('are not remembered longer than their contracts: some are made for each message', async () => {
    const { asked, publishing } = onLink();
    const routes = new RouteDeclarations(core().core, () => ({}));
    const before = heldBytes();
    for (let i = 0; i < 10; i++) {
      const held = Buffer.alloc(100_000);
      const contract = defineExchange({ name: 'events', type: 'topic', messages: { paid: json(() => held) } });
      await routes.ensure(publishing, entryTo({ exchange: contract, routingKey: 'paid' }).message);
      expect(asked.splice(0)).toHaveLength(1);
    }
    expect(heldBytes() - before).toBeLessThan(500_000);
    expect(publishing.exchanges).toBeDefined();
  });
});

describe('a delayed message', () => {
  const HOUR = 3_600_000;
  const given = async (message: object, answers: Answers, ensured: readonly string[] = [], attempts = 0) => {
    const { core: connection, ...logged } = core();
    const routes = new RouteDeclarations(connection, () => ({}));
    const on = onLink(answers);
    for (const queue of ensured) on.publishing.ensured.add(queue);
    const send = sendOf({ messageId: 'm', delay: HOUR, ...message });
    send.entry.attempts = attempts;
    await routes.ensureDelay(on.publishing, send.entry.message);
    const dressed = routes.dress(on.publishing, send.entry);
    return { ...on, ...logged, ...send, dressed, routes };
  };

  it('waits in an exchange of delays, once its levels and the way to its target are declared', async () => {
    const { asked, dressed, entry, log, routes, publishing } = await given(
      { queue: 'orders' },
      { check: () => 'there' },
    );
    expect(asked.length).toBeGreaterThan(2);
    expect(dressed).toBe(true);
    expect(entry.message.exchange).toMatch(/delay/);
    expect(routes.ensureDelay(publishing, entry.message)).toBeUndefined();
    expect(log.warn).not.toHaveBeenCalled();
  });

  it('without a delay goes as it is', () => {
    const routes = new RouteDeclarations(core().core, () => ({}));
    const { asked, publishing } = onLink();
    const entry = entryTo({ queue: 'orders' });
    expect(routes.ensureDelay(publishing, entry.message)).toBeUndefined();
    expect(routes.dress(publishing, entry)).toBe(true);
    expect([entry.message.exchange, asked]).toEqual(['', []]);
  });

  it.each<[string, object, string, string]>([
    [
      'queue',
      { queue: 'orders' },
      'PUBLISH_RETURNED',
      'There is no queue `orders`. A delayed message for it would be lost: declare it, or send with `mandatory: false`.',
    ],
    [
      'exchange',
      { exchange: 'events', routingKey: 'paid' },
      'PUBLISH_REFUSED',
      'The message cannot wait at the broker. There is no exchange `events`.',
    ],
  ])('is rejected if its %s is missing', async (_, route, code, message) => {
    const missing = (topology: Topology) => {
      if (topology.exchanges?.[0]?.passive === true) throw refused(404);
    };
    const { dressed, log, settled } = await given(route, { declare: missing });
    expect(dressed).toBe(false);
    expect(settled).toMatchObject([{ code, message, messageId: 'm', replyCode: 404, maybeDelivered: false }]);
    const { cause } = settled[0] as PublishError;
    expect(log.warn.mock.calls).toEqual([
      [{ messageId: 'm', err: cause }, 'a delayed message cannot wait at the broker'],
    ]);
  });

  it.each([
    ['to a queue that was declared before it', { queue: 'orders' }, ['orders']],
    ['that need not arrive', { queue: 'orders', mandatory: false }, []],
  ])('waits for a queue that is missing: one %s', async (_, route, ensured) => {
    const { dressed, settled } = await given(route, {}, ensured);
    expect([dressed, settled]).toEqual([true, []]);
  });

  it.each([
    ['and the broker does not have it', 0, false],
    ['and the broker may have it from an earlier attempt', 1, true],
  ])('is rejected if its levels are refused for good, %s', async (_, attempts, maybeDelivered) => {
    const err = refused(406, 'PRECONDITION_FAILED');
    const { settled } = await given({ queue: 'orders' }, { declare: throwing(err) }, [], attempts);
    expect(settled).toMatchObject([
      {
        code: 'PUBLISH_REFUSED',
        message: `The message cannot wait at the broker. ${err.message}`,
        cause: err,
        replyCode: 406,
        maybeDelivered,
      },
    ]);
  });

  it('is kept, and tries again, if they are refused for now', async () => {
    const { dressed, entry, settled, log, publishing, routes, asked } = await given(
      { queue: 'orders' },
      { declare: throwing(refused(541)) },
    );
    expect([dressed, settled, log.warn.mock.calls.length]).toEqual([false, [], 1]);
    const before = asked.length;
    await routes.ensureDelay(publishing, entry.message);
    expect(asked.length).toBeGreaterThan(before);
  });
});
