import { handle, type Message } from 'instance-queue';
import { FakeInstanceQueue, MemoryBroker } from 'instance-queue/testing';
import type { Announcement, Member, Plan } from '../../../lib/partitioned/group';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

// Processes of other versions of this library are members of the same group: what they tell each other is a protocol.
const EVERYONE = 'orders.presence';

/** An announcement that was sent, and to whom. */
type Told = Announcement & { readonly to: string };

/** A member in a broker of its own, and others that are played by hand. */
function given(partitions = 4) {
  const broker = new MemoryBroker();
  const queue = closing(new FakeInstanceQueue({ broker }));
  const orders = queue.partitioned<number>({ name: 'orders', partitions });
  let known = 0;
  /** What the member has sent since the last call. */
  const told = (): readonly Told[] => {
    const { published } = broker;
    const sent = published.slice(known);
    known = published.length;
    return sent
      .filter(({ exchange, routingKey }) => exchange === EVERYONE || routingKey.includes(' of ') || exchange === '')
      .map(({ exchange, routingKey, body }) => ({
        to: exchange === '' ? routingKey : exchange,
        ...(body as object),
      })) as Told[];
  };
  /** Another member, which announces something. The queue that is its presence has to be there for that. */
  const other = (id: string, more: Partial<Announcement> = {}, member: Partial<Member> = {}): void => {
    const body: Announcement = { member: { id, address: `queue of ${id}`, holding: [], ...member }, ...more };
    broker.put({ exchange: EVERYONE, body });
  };
  const present = (...ids: string[]): void => {
    for (const id of ids) broker.declare({ name: `queue of ${id}` });
  };
  const address = (): string => broker.queues.find(({ name }) => name.startsWith('amq.gen'))?.name ?? '';
  return { broker, queue, orders, told, other, present, address };
}
/** The plan that gives each partition to one of these. */
const plan = (by: string, version: number, ...owners: string[]): Plan => ({ version, by, owners });
/** Sorts before, and behind, the ids of members that start now. */
const [OLDER, YOUNGER] = ['0', 'z'];

/** A member that is alone, and holds all partitions. */
async function alone(partitions = 4) {
  const group = given(partitions);
  group.orders.consume().subscribe();
  await later(300);
  const id = group.told()[0]?.member.id ?? '';
  return { ...group, id, address: group.address() };
}

describe('a member', () => {
  it('says hello when it joins, makes a plan when nobody has answered for a while, and says what it holds', async () => {
    const { orders, told, address } = given(2);
    orders.consume().subscribe();
    await later(100);
    const [hello, ...more] = told();
    const { id } = hello!.member;
    expect(hello).toEqual({ to: EVERYONE, member: { id, address: address(), holding: [] }, hello: true });
    expect(more).toEqual([]);
    await later(200);
    expect(told().map(({ plan: made, member }) => [made, member.holding])).toEqual([
      [plan(id, 1, id, id), []],
      [plan(id, 1, id, id), [0]],
      [plan(id, 1, id, id), [0, 1]],
    ]);
    expect(orders.assignment).toEqual([0, 1]);
  });

  it('repeats what it said every five seconds, in case that it was not heard', async () => {
    const { told, id } = await alone(1);
    await later(4000);
    expect(told()).toEqual([]);
    await later(1000);
    expect(told()).toMatchObject([{ to: EVERYONE, member: { id, holding: [0] }, plan: plan(id, 1, id) }]);
    await later(5000);
    expect(told()).toHaveLength(1);
  });

  it('heeds nothing that is no announcement: anyone may publish to its exchange', async () => {
    const { broker, told, orders, other, present, id } = await alone(2);
    present(OLDER);
    told();
    const member = { id: OLDER, address: `queue of ${OLDER}`, holding: [] };
    const wiser = plan(OLDER, 9, OLDER, OLDER);
    const nonsense: unknown[] = [
      null,
      'hello',
      [],
      {},
      { member: null },
      { member: OLDER },
      ...(['id', 'address', 'holding'] as const).map((name) => ({ member: { ...member, [name]: 5 } })),
      { member, gone: 'all' },
      { member, plan: 'none' },
      { member, plan: null },
      ...(['version', 'by', 'owners'] as const).map((name) => ({ member, plan: { ...wiser, [name]: 0.5 } })),
      { member, plan: { ...wiser, owners: [OLDER, 5] } },
    ];
    for (const body of nonsense) broker.put({ exchange: EVERYONE, body: { hello: true, ...Object(body) } as unknown });
    for (const body of nonsense) broker.put({ exchange: EVERYONE, body });
    await later(300);
    expect(told().filter(({ to }) => to !== EVERYONE)).toEqual([]);
    expect(orders.assignment).toEqual([0, 1]);
    // One that were known would be the oldest, to which the next plan is left.
    present(YOUNGER);
    other(YOUNGER);
    await later(10);
    expect(told().find(({ to }) => to === EVERYONE)?.plan).toEqual(plan(id, 2, id, YOUNGER));
  });

  it('answers the hello of another one to it alone, and nothing else', async () => {
    const { told, other, present, id } = await alone(2);
    present(YOUNGER);
    // It leaves the plan as it is: it is about to stop.
    other(YOUNGER, { hello: true }, { leaving: true });
    await later(1);
    expect(told()).toMatchObject([
      { to: `queue of ${YOUNGER}`, member: { id, holding: [0, 1] }, plan: plan(id, 1, id, id) },
    ]);
    other(YOUNGER, {}, { leaving: true });
    await later(1);
    expect(told()).toEqual([]);
  });

  it('makes a plan when it is the oldest, and moves no more than it has to', async () => {
    const { told, other, present, id, orders } = await alone(4);
    present(YOUNGER);
    other(YOUNGER);
    await later(10);
    expect(told().find(({ to }) => to === EVERYONE)?.plan).toEqual(plan(id, 2, id, id, YOUNGER, YOUNGER));
    expect(orders.assignment).toEqual([0, 1]);
    present('zz');
    other('zz');
    await later(10);
    const third = told()
      .flatMap(({ plan: made }) => made ?? [])
      .at(-1);
    expect(third?.owners.filter((owner, partition) => owner !== [id, id, YOUNGER, YOUNGER][partition])).toEqual(['zz']);
  });

  it('leaves the plan to an older one, and takes no partition that another one still holds', async () => {
    const { orders, told, other, present, queue } = given(2);
    orders.consume().subscribe();
    await later(10);
    const { id } = told()[0]!.member;
    present(OLDER);
    other(OLDER, {}, { holding: [0, 1] });
    await later(1000);
    expect(orders.assignment).toEqual([]);
    expect(told().every(({ plan: made }) => made === undefined)).toBe(true);
    other(OLDER, { plan: plan(OLDER, 7, id, OLDER) }, { holding: [0, 1] });
    await later(1000);
    expect(orders.assignment).toEqual([]);
    expect(queue.health.consumers).toMatchObject([{ queueName: 'orders', status: 'attached' }]);
    other(OLDER, {}, { holding: [1] });
    await later(1000);
    expect(orders.assignment).toEqual([0]);
    expect(told().at(-1)).toMatchObject({ member: { holding: [0] }, plan: plan(OLDER, 7, id, OLDER) });
  });

  it('finds out by a message that comes back that the next one is gone, tells the others, and takes its share', async () => {
    const { broker, told, other, present, id, orders } = await alone(2);
    present(YOUNGER);
    other(YOUNGER, {}, { holding: [1] });
    await later(10);
    expect(orders.assignment).toEqual([0]);
    told();
    await later(2000);
    const watch = told();
    expect(watch).toHaveLength(4);
    expect(new Set(watch.map(({ to }) => to))).toEqual(new Set([`queue of ${YOUNGER}`]));
    broker.deleteQueue(`queue of ${YOUNGER}`);
    await later(600);
    expect(orders.assignment).toEqual([0, 1]);
    expect(told()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ to: EVERYONE, gone: [`queue of ${YOUNGER}`] }),
        expect.objectContaining({ to: EVERYONE, plan: plan(id, 3, id, id) }),
      ]),
    );
    await later(2000);
    expect(told()).toEqual([]);
  });

  it('finds out in time about one whom it does not watch, and of whom nobody said that it is gone', async () => {
    const { broker, told, other, present } = await alone(3);
    present('y', YOUNGER);
    other('y', {}, { holding: [1] });
    other(YOUNGER, {}, { holding: [2] });
    await later(1000);
    expect(told().at(-1)?.plan?.owners).toContain(YOUNGER);
    broker.deleteQueue(`queue of ${YOUNGER}`);
    told();
    await later(1100);
    const news = told();
    expect(news).toContainEqual(expect.objectContaining({ to: EVERYONE, gone: [`queue of ${YOUNGER}`] }));
    expect(news.at(-1)?.plan?.owners).not.toContain(YOUNGER);
  });

  it('finds out about two that go at once, and takes the shares of both', async () => {
    const { broker, told, other, present, id, orders } = await alone(3);
    present('y', YOUNGER);
    other('y', {}, { holding: [1] });
    other(YOUNGER, {}, { holding: [2] });
    await later(1000);
    broker.deleteQueue('queue of y');
    broker.deleteQueue(`queue of ${YOUNGER}`);
    await later(1100);
    expect(told().at(-1)?.plan?.owners).toEqual([id, id, id]);
    expect(orders.assignment).toEqual([0, 1, 2]);
    told();
    await later(1000);
    expect(told()).toEqual([]);
  });

  it('does not take one for gone whose broker only does not answer', async () => {
    const { broker, other, present, orders } = await alone(2);
    present(YOUNGER);
    other(YOUNGER, {}, { holding: [1] });
    await later(10);
    broker.block();
    broker.deleteQueue(`queue of ${YOUNGER}`);
    await later(3000);
    expect(orders.assignment).toEqual([0]);
    broker.unblock();
    await later(3000);
    expect(orders.assignment).toEqual([0, 1]);
  });

  it('believes another one that somebody is gone, and says hello when somebody takes itself for gone', async () => {
    const { told, other, present, id, address, orders } = await alone(2);
    present(YOUNGER, 'zz');
    other(YOUNGER, {}, { holding: [1] });
    other('zz', { gone: [`queue of ${YOUNGER}`] });
    await later(10);
    expect(
      told()
        .at(-1)
        ?.plan?.owners.filter((owner) => owner === YOUNGER),
    ).toEqual([]);
    expect(orders.assignment).toEqual([0]);
    other('zz', { gone: [address] });
    await later(1);
    expect(told()).toContainEqual(
      expect.objectContaining({ to: EVERYONE, hello: true, member: expect.objectContaining({ id }) as unknown }),
    );
  });

  it('says what it still holds while it stops, and that it is gone when it has', async () => {
    const { broker, told, id, address, orders, other, present } = await alone(2);
    let finish: (() => void) | undefined;
    const work = (_: Message<number>): Promise<void> => new Promise((resolve) => (finish = resolve));
    await orders.close();
    expect(told().at(-1)).toMatchObject({ to: EVERYONE, member: { id, leaving: true, holding: [] }, gone: [address] });
    expect(broker.queues.find(({ name }) => name === address)).toBeUndefined();

    const slow = closing(new FakeInstanceQueue({ broker })).partitioned<number>({ name: 'orders', partitions: 2 });
    slow.consume().pipe(handle(work)).subscribe();
    await later(300);
    await slow.send({ key: 'a', body: 1 });
    await later(10);
    told();
    present(YOUNGER);
    const closed = slow.close();
    await later(10);
    const leaving = told();
    expect(leaving.every(({ member }) => member.leaving)).toBe(true);
    expect(leaving.at(-1)?.member.holding).toHaveLength(1);
    other(YOUNGER, { hello: true });
    await later(10);
    expect(told()).toContainEqual(
      expect.objectContaining({
        to: `queue of ${YOUNGER}`,
        member: expect.objectContaining({ leaving: true }) as unknown,
      }),
    );
    finish?.();
    await later(10);
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(told().at(-1)).toMatchObject({ member: { holding: [], leaving: true }, gone: [expect.any(String)] });
  });

  it('joins again after an outage, at another address, and holds nothing meanwhile', async () => {
    const { broker, told, id, address, orders } = await alone(2);
    const held: (readonly number[])[] = [];
    orders.assignment$.subscribe((assignment) => held.push(assignment));
    broker.disconnect();
    await later(100);
    expect(orders.assignment).toEqual([]);
    broker.reconnect();
    await later(100);
    const [hello] = told().filter(({ hello: said }) => said);
    expect(hello).toMatchObject({ to: EVERYONE, member: { id } });
    expect(hello?.member.address).not.toBe(address);
    await later(1000);
    expect(orders.assignment).toEqual([0, 1]);
    expect([held[0], held.at(-1), held.length]).toEqual([[0, 1], [0, 1], 5]);
    expect(held).toContainEqual([]);
    expect(held.every(Object.isFrozen)).toBe(true);
  });
});
