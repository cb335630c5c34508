import { once } from 'node:events';
import { connect } from 'node:net';
import { Connection } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';

afterEach(closeAll);

it('a client in the middle of its handshake, whoever it is, is listed, and in the way of nobody', async () => {
  const broker = sharedBroker();
  const { hostname, port } = new URL(broker.url);
  const name = uniqueName();
  const connection = closing(new Connection({ url: broker.url, name }));
  await connection.connect();
  const socket = connect(Number(port), hostname);
  try {
    socket.write(Buffer.from([...Buffer.from('AMQP'), 0, 0, 9, 1]));
    // connection.start: the broker waits for who it is.
    await once(socket, 'data');
    const names = (await broker.connections()).map((row) => row.name);
    expect(names).toEqual(expect.arrayContaining(['', name]));
    await broker.closeConnection(name);
  } finally {
    socket.destroy();
  }
});
