import { handle, InstanceQueue } from 'instance-queue';
import { Bystander } from '../../support/brokers/bystander';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closing } from '../../support/closing';
import { inPipes, inShell } from '../../support/command-line';
import { fixture } from '../../support/fixtures/fixture';
import { eventually } from '../../support/waiting';

class PriceMissing extends Error {
  override readonly name = 'PriceMissing';
}

/** An order; those of one country came without a price. */
interface Order {
  readonly id: number;
  readonly country: string;
  readonly price?: number;
}

describe('an incident', () => {
  const given = fixture(async () => {
    const { url } = sharedBroker();
    const bystander = closing(await Bystander.at(url));
    return { url, bystander, orders: bystander.freeQueueName(), dead: bystander.freeQueueName() };
  });

  /** A service of which one version has a bug. Gives the ids of the orders it has charged. */
  const deploy = (mended: boolean) => {
    const { url, orders, dead } = given;
    const charged: number[] = [];
    const queue = closing(new InstanceQueue({ url, logger: 'silent' }));
    const charge = ({ body: { id, price } }: { body: Order }): void => {
      if (price === undefined && !mended) throw new PriceMissing(`order ${id} has no price`);
      charged.push(id);
    };
    queue
      .consume<Order>({ queue: { name: orders }, topology: { queues: [{ name: dead }] } })
      .pipe(handle(charge, { onError: queue.retry({ attempts: 2, delay: 10, then: { queue: dead } }) }))
      .subscribe();
    return { charged, queue };
  };

  /** The commands of the way through an incident that `dead --help` describes, for this queue. */
  const wayThrough = async (): Promise<string[]> => {
    const { stdout } = await inPipes(['dead', '--help']);
    const lines = stdout.slice(stdout.indexOf('A usual way')).split('\n');
    return lines
      .filter((line) => line.startsWith('  instance-queue '))
      .map((line) => line.trim().replace(/ {2,}.*$/, ''))
      .map((line) => line.replace('instance-queue', '$CLI').replaceAll('orders.dead', given.dead));
  };

  it('is looked at, understood, mended and replayed with nothing but `dead --help`', async () => {
    const { bystander, url, orders, dead } = given;
    const { charged, queue } = deploy(false);
    const all = Array.from({ length: 40 }, (_, id): Order => {
      return id % 4 === 0 ? { id, country: 'CH' } : { id, country: 'DE', price: 5 };
    });
    for (const body of all) await queue.send({ queue: orders, body });
    await eventually(async () => (await bystander.count(dead).catch(() => undefined))?.ready === 10);
    await eventually(() => charged.length === 30);

    const [list = '', show = '', dryRun = '', replay = '', again = ''] = await wayThrough();
    const what = await inShell(list, { url });
    expect(what.stdout).toMatch(/10 +\S+ +failed .*PriceMissing: order \d+ has no price/);
    const one = await inShell(show, { url });
    expect(one.stdout).toContain('"country":"CH"');

    await queue.close();
    const next = deploy(true);
    expect((await inShell(dryRun, { url })).stdout).toContain('would have been replayed: 10 of 10');
    const done = await inShell(replay, { url });
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('replayed: 10 of 10') as unknown });
    expect((await inShell(again, { url })).stdout).toContain('0 letters read');
    await eventually(() => next.charged.length === 10);
    expect([...charged, ...next.charged].sort((a, b) => a - b)).toEqual(all.map(({ id }) => id));
  });
});
