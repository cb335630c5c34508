import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Connection, Producer, type ConnectionOptions } from 'instance-queue';
import { freePort } from '../../../compose/ports';
import { runChild } from '../../support/child';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';

const given = rabbitmqFixture();
const { broker } = given;
const { start } = fakeBrokerFixture();
const folder = mkdtempSync(join(tmpdir(), 'instance-queue-tls-'));
const inFolder = (name: string): string => join(folder, name);
const read = (name: string): string => readFileSync(inFolder(name), 'utf8');
const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });

/** Makes a key, and a certificate for `host` signed by the CA. */
function certify(name: string, host: string, days: string): void {
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    `/CN=${host}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  );
  writeFileSync(inFolder(`${name}.ext`), `subjectAltName=DNS:${host}`);
  const signed = ['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl(...signed, '-extfile', `${name}.ext`, '-days', days, '-out', `${name}.pem`);
}

const servers: Server[] = [];
const clients: TLSSocket[] = [];
/** Starts a TLS server with this certificate in front of the broker, and gives its port. */
async function tlsPort(name: string, target = broker.url): Promise<number> {
  const { hostname, port } = new URL(target);
  const options = { key: read(`${name}.key`), cert: read(`${name}.pem`), ca: read('ca.pem'), requestCert: true };
  const server = createServer({ ...options, rejectUnauthorized: false }, (client) => {
    clients.push(client);
    const onward = dial(Number(port), hostname);
    client.pipe(onward).pipe(client);
    client.on('error', () => onward.destroy());
    onward.on('error', () => client.destroy());
  });
  servers.push(server);
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const secure = (port: number, host = 'localhost'): string => {
  const url = new URL(broker.url.replace('amqp:', 'amqps:'));
  Object.assign(url, { hostname: host, port: String(port) });
  return url.href;
};

beforeAll(() => {
  const ca = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=test CA', '-days', '2'];
  openssl(...ca, '-keyout', 'ca.key', '-out', 'ca.pem');
  certify('good', 'localhost', '2');
  certify('other', 'elsewhere.example', '2');
  certify('expired', 'localhost', '-1');
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  rmSync(folder, { recursive: true });
});

describe('TLS', () => {
  it('with a private CA connects by an amqps URL, and the endpoint shows no credentials', async () => {
    const port = await tlsPort('good');
    const connection = closing(new Connection({ url: secure(port), tls: { ca: read('ca.pem') } }));
    await connection.connect();
    expect(connection.state).toMatchObject({ status: 'connected', endpoint: `localhost:${port}/` });
    connection.reconnect();
    await connection.connect();
  });

  it('is configured by the parameters of the URL, under the names of RabbitMQ', async () => {
    const { fake } = await start();
    const port = await tlsPort('other', fake.url);
    const parameters = new URLSearchParams({
      cacertfile: inFolder('ca.pem'),
      certfile: inFolder('good.pem'),
      keyfile: inFolder('good.key'),
      verify: 'verify_peer',
      server_name_indication: 'elsewhere.example',
      auth_mechanism: 'external',
      channel_max: '7',
      heartbeat: '3',
    });
    const connection = new Connection(`amqps://localhost:${port}/?${parameters.toString()}`);
    await connection.connect();
    expect(clients.at(-1)!.getPeerCertificate().subject.CN).toBe('localhost');
    expect((await fake.clients[0]!.until('connection.start-ok')).fields).toMatchObject({ mechanism: 'EXTERNAL' });
    expect((await fake.clients[0]!.until('connection.tune-ok')).fields).toMatchObject({ channelMax: 7, heartbeat: 3 });
    await connection.close();
  });

  it('verifies nothing with `verify=verify_none`, whatever the options say', async () => {
    const url = `${secure(await tlsPort('expired'))}?verify=verify_none`;
    await closing(new Connection({ url, tls: { rejectUnauthorized: true } })).connect();
  });

  it('leaves bodies of any size intact, with many sends at once', async () => {
    const queue = await given.bystander.declareQueue();
    const connection = closing(new Connection({ url: secure(await tlsPort('good')), tls: { ca: read('ca.pem') } }));
    const producer = closing(new Producer(connection, { persistent: false, maxInFlight: 12 }));
    const sizes = [0, 300, 20_000, 140_000, 300_000];
    const bodies = Array.from({ length: 100 }, (_, n) => Buffer.alloc(sizes[n % sizes.length]!, `${n};`));
    await Promise.all(bodies.map((body) => producer.send({ queue, body })));
    const arrived = (await given.bystander.takeAll(queue)).map(({ content }) => content);
    expect(arrived.length).toBe(bodies.length);
    expect(bodies.findIndex((body, n) => !body.equals(arrived[n]!))).toBe(-1);
  });

  it('with a client certificate can replace the login (SASL EXTERNAL)', async () => {
    const { fake } = await start();
    const port = await tlsPort('good', fake.url);
    const tls = { ca: read('ca.pem'), cert: read('other.pem'), key: read('other.key') };
    const url = `amqps://localhost:${port}/?auth_mechanism=external`;
    const connection = new Connection({ url, tls });
    await connection.connect();
    expect((await fake.clients[0]!.until('connection.start-ok')).fields).toMatchObject({ mechanism: 'EXTERNAL' });
    expect(clients.at(-1)!.getPeerCertificate().subject.CN).toBe('elsewhere.example');
    await connection.close();
  });
});

describe('why a host cannot be reached', () => {
  it('is in the error with what to change, and without the password', async () => {
    const ca = read('ca.pem');
    const [good, other, expired, fake] = await Promise.all([
      tlsPort('good'),
      tlsPort('other'),
      tlsPort('expired'),
      start().then(({ fake: started }) => started),
    ]);
    const dead = await freePort();
    const cases: readonly (readonly [ConnectionOptions, RegExp])[] = [
      [{ url: secure(good) }, /unknown CA|cannot be verified|self-signed.*tls\.ca/],
      [{ url: secure(expired), tls: { ca } }, /its certificate has expired\. \(CERT_HAS_EXPIRED\)/],
      [{ url: secure(other), tls: { ca } }, /for another host name.*\(ERR_TLS_CERT_ALTNAME_INVALID\)/],
      [{ url: secure(other), tls: { ca, servername: 'elsewhere.example' } }, /^connected/],
      [{ url: `amqps://user:hush@127.0.0.1:${fake.port}` }, /TLS/],
      [{ url: `amqp://user:hush@127.0.0.1:${dead}` }, /nothing listens there.*\(ECONNREFUSED\)/],
      [{ url: 'amqp://user:hush@no-such-host.invalid' }, /host name is unknown|DNS does not answer/],
    ];
    const { stdout } = await runChild('integration/connection/connect-once.program.ts', [
      JSON.stringify(cases.map(([o]) => o)),
    ]);
    const results = JSON.parse(stdout) as { message: string; retryable?: boolean }[];
    expect(results).toHaveLength(cases.length);
    results.forEach(({ message, retryable }, i) => {
      expect(message).toMatch(cases[i]![1]);
      expect(message).not.toContain('hush');
      expect(retryable).not.toBe(false);
    });
  });
});
