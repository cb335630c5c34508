// What the trial bundles: the entry points that need no optional peer. Fails to reach a closed port with a proper error, then talks to a broker.
import { ConnectionError, handle, InstanceQueue, OptionsError, PublishError } from 'instance-queue';
import { readiness } from 'instance-queue/health';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { log } from 'node:console';
import { createServer } from 'node:net';
import { env, pid } from 'node:process';
import { firstValueFrom, timeout } from 'rxjs';

function expect(so, what) {
  if (!so) throw new Error(`Not so: ${what}`);
}

/** What `promise` rejects with, as a program and as a person sees it. */
async function refusal(promise, errorClass, name, code) {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error instanceof errorClass, `${name} is thrown, but ${String(error)}`);
  expect(error.name === name && errorClass.name === name, `an error's name is ${name}, but ${error.name}`);
  expect(error.code === code && String(error).startsWith(`${name}: `), `the code is ${code}, but ${error.code}`);
  return error;
}

/** A port of this machine that is closed: it was just open. */
async function closedPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const nowhere = new InstanceQueue({
  url: `amqp://127.0.0.1:${await closedPort()}`,
  reconnect: { attempts: 1 },
  logger: 'silent',
});
const failed = await refusal(nowhere.connect(), ConnectionError, 'ConnectionError', 'CONNECT_FAILED');
const late = nowhere.send({ queue: 'orders', body: {} }, { timeout: 100 });
await refusal(late, PublishError, 'PublishError', 'PUBLISH_CLOSED');
const wrong = Promise.resolve().then(() => new InstanceQueue({ url: 'amqp://localhost', heartbeat: -1 }));
await refusal(wrong, OptionsError, 'OptionsError', 'OPTIONS_INVALID');
await nowhere.close();

const queue = new InstanceQueue({ url: env.AMQP_URL, logger: 'silent' });
const name = `bundled-${pid}-${Date.now()}`;
const handled = queue.consume({ queue: { name, expires: 60_000 } }).pipe(
  handle(({ body }) => body.id),
  timeout(20_000),
);
const first = firstValueFrom(handled);
await queue.send({ queue: name, body: { id: 'o-1' } });
expect((await first).value === 'o-1', 'a bundled program is handed what it sent');
expect(readiness(queue).body.ready, 'a bundled program is ready');
await queue.close();
const double = new FakeInstanceQueue();
await double.send({ queue: 'orders', body: 1 });
expect(double instanceof InstanceQueue, 'entry points share their classes in a bundle');
await double.close();
log(String(failed));
