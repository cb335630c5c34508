import { createServer } from 'node:http';
import { dashboard, type HasDeadLetters } from 'instance-queue/dashboard';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { deadLetters } from 'instance-queue/tools';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';

afterEach(closeAll);

describe('the dashboard, asked for dead letters', () => {
  const serve = async (shown?: (queue: FakeInstanceQueue) => readonly HasDeadLetters[]) => {
    const queue = closing(new FakeInstanceQueue());
    const server = createServer(dashboard(queue, shown ? { deadLetters: shown(queue) } : {}));
    return { queue, address: `${await listening(server)}/` };
  };
  const section = /<section class="card" id="dead-letters"[^>]*>/;

  it('gives their groups without bodies, and the look takes nothing away', async () => {
    const { queue, address } = await serve((one) => [deadLetters(one, 'orders.dead'), deadLetters(one, 'none')]);
    await queue.admin.declare({ queues: [{ name: 'orders.dead' }] });
    await queue.send({ queue: 'orders.dead', body: { secret: 1 } });
    const text = await (await fetch(`${address}dead-letters`)).text();
    expect(JSON.parse(text)).toMatchObject([
      { name: 'orders.dead', found: 1, read: 1, others: 0, groups: [{ reason: 'unknown', count: 1 }] },
      { name: 'none', error: expect.stringContaining('no queue') as unknown },
    ]);
    expect(text).not.toContain('secret');
    expect(await queue.admin.inspect('orders.dead')).toMatchObject({ messages: 1 });
    expect(section.exec(await (await fetch(address)).text())?.[0]).not.toContain('hidden');
  });

  it('does nothing of it unless it is an option', async () => {
    const { address } = await serve();
    expect((await fetch(`${address}dead-letters`)).status).toBe(404);
    expect(section.exec(await (await fetch(address)).text())?.[0]).toContain('hidden');
  });
});
