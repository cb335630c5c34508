import { Connection } from 'instance-queue';

describe('the queues that a connection knows by their specs', () => {
  it('are the 10,000 that were named last: a service may have one for each of its sessions', async () => {
    const connection = new Connection({ url: 'amqp://localhost:1', logger: 'silent' });
    const { core } = connection;
    for (let i = 0; i < 10_050; i++) core.learn({ name: `session-${i}`, exclusive: true });
    const queues = core.known({ queues: [{ name: 'orders', type: 'quorum' }] }).queues ?? [];
    await connection.close();
    expect([queues.length, queues[0]?.name, queues[1]?.name, queues.at(-1)?.name]).toEqual([
      10_001,
      'orders',
      'session-50',
      'session-10049',
    ]);
  });

  it('include one that is named again and again', async () => {
    const connection = new Connection({ url: 'amqp://localhost:1', logger: 'silent' });
    const { core } = connection;
    for (let i = 0; i < 20_000; i++) core.learn(i % 100 === 0 ? { name: 'orders' } : { name: `session-${i}` });
    const { queues } = core.known(undefined);
    await connection.close();
    expect(queues?.filter(({ name }) => name === 'orders')).toEqual([{ name: 'orders' }]);
  });
});
