import { InstanceQueue } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { outcomes } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const broker = sharedBroker();
afterEach(closeAll);

test('a hundred losses in a short time leave one connection, one channel, and every message there', async () => {
  const bystander = closing(await Bystander.at(broker.url));
  const proxy = closing(await FaultProxy.before(broker.url));
  const queue = await bystander.declareQueue();
  const front = closing(
    new InstanceQueue({
      url: proxy.url(broker.url),
      name: queue,
      reconnect: { min: 1, max: 5 },
      reopen: { min: 1, max: 5 },
      // The first ones wait for all of it.
      producer: { timeout: 100_000 },
    }),
  );
  const sends: Promise<unknown>[] = [];
  const send = (): void => void sends.push(front.send({ queue, body: sends.length }));
  send();
  await sends[0];
  let epoch = 1;
  proxy.cut();
  for (let flap = 1; flap <= 100; flap++) {
    send();
    // Some fall into the middle of a handshake, some into that of a channel being opened.
    if (flap % 2 === 0) {
      const { producer: state } = await until(
        front.state$,
        ({ producer }) => producer.status === 'connected' && producer.epoch > epoch,
      );
      if (state.status === 'connected') epoch = state.epoch;
    } else await proxy.nextLink();
    proxy.cut();
    send();
  }
  expect(new Set(await outcomes(sends))).toEqual(new Set(['confirmed']));
  const numbers = bodies(await bystander.takeAll(queue)) as number[];
  expect([...new Set(numbers)].sort((a, b) => a - b)).toEqual(sends.map((_, i) => i));
  expect(front.metrics.reconnects).toBeGreaterThanOrEqual(40);
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
