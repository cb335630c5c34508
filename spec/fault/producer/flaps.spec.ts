import { bodies } from '../../support/brokers/messages';
import { producingFixture } from '../../support/fixtures/producing';
import { outcomes } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const given = producingFixture();

test('after a hundred lost connections in a short time there is one connection with one channel, and every message has arrived', async () => {
  const { broker, bystander, newClient, proxy, queue } = given;
  const client = newClient({
    name: queue,
    reconnect: { min: 1, max: 5 },
    reopen: { min: 1, max: 5 },
    // The first sends wait until the end.
    producer: { timeout: 100_000 },
  });
  const sends: Promise<unknown>[] = [];
  const send = (): void => void sends.push(client.send({ queue, body: sends.length }));
  send();
  await sends[0];
  let epoch = 1;
  proxy.cut();
  for (let flap = 1; flap <= 100; flap++) {
    send();
    // Half of the cuts hit a handshake, the others the opening of a channel.
    if (flap % 2 === 0) {
      const { producer: state } = await until(
        client.state$,
        ({ producer }) => producer.status === 'connected' && producer.epoch > epoch,
      );
      if (state.status === 'connected') epoch = state.epoch;
    } else await proxy.nextLink();
    proxy.cut();
    send();
  }
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  const arrived = bodies(await bystander.takeAll(queue)) as number[];
  expect([...new Set(arrived)].sort((a, b) => a - b)).toEqual(sends.map((_, i) => i));
  expect(client.metrics.reconnects).toBeGreaterThanOrEqual(40);
  expect(proxy.links).toBe(1);
  const mine = `${queue}.producer`;
  await eventually(async () => {
    const [connections, channels] = await Promise.all([broker.connections(), broker.channels()]);
    return (
      connections.filter(({ name }) => name === mine).length === 1 &&
      channels.filter(({ connection }) => connection === mine).length === 1
    );
  });
});
