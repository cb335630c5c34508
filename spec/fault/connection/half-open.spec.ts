import { once } from 'node:events';
import { connect } from 'node:net';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';

const given = rabbitmqFixture();

it('a client in the middle of its handshake is listed without a name, and disturbs no other listing', async () => {
  const { broker, newConnection } = given;
  const { hostname, port } = new URL(broker.url);
  const name = uniqueName();
  const connection = newConnection({ name });
  await connection.connect();
  // 10 s by default, which the listing alone can take on a busy machine.
  await broker.ctl('eval', 'application:set_env(rabbit, handshake_timeout, 120000).');
  const socket = connect(Number(port), hostname);
  try {
    socket.write(Buffer.from([...Buffer.from('AMQP'), 0, 0, 9, 1]));
    // connection.start: from here on the broker waits for the login.
    await once(socket, 'data');
    const names = (await broker.connections()).map((row) => row.name);
    expect(names).toEqual(expect.arrayContaining(['', name]));
    await broker.closeConnection(name);
  } finally {
    socket.destroy();
    await broker.ctl('eval', 'application:set_env(rabbit, handshake_timeout, 10000).');
  }
});
