import { checkConnection } from 'instance-queue/tools';
import { lastValueFrom, toArray } from 'rxjs';
import { Bystander } from '../../support/brokers/bystander';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';

afterEach(closeAll);

// What is refused: spec/unit/tools/check-connection.spec.ts
it('the check of a connection that works goes through every step, and says what it found', async () => {
  const { url } = sharedBroker();
  const bystander = closing(await Bystander.at(url));
  const queue = await bystander.declareQueue();
  await bystander.put(queue, 1, 2);
  const steps = await lastValueFrom(checkConnection({ url, queue }).pipe(toArray()));
  expect(steps.map(({ name, status }) => `${name} ${status}`)).toEqual(
    ['dns', 'tcp', 'login', 'configure', 'write', 'read', 'queue'].map((name) => `${name} ok`),
  );
  const [dns, tcp, login, configure, write, read, depth] = steps.map(({ text }) => text);
  expect(dns).toMatch(/ is (127\.0\.0\.1|::1)/);
  expect(tcp).toMatch(/^port \d+ accepts connections \(\d+ ms\)$/);
  expect(login).toMatch(/^RabbitMQ \d+\.\d+\S*, as user \w+ in virtual host \/; heartbeat 10 s, frames of \d+ bytes$/);
  expect([configure, write, read]).toEqual([
    'may declare queues',
    'may publish to the default exchange',
    'may take messages',
  ]);
  expect(depth).toBe(`${queue}: 2 messages ready, 0 consumers`);
  expect(await bystander.count(queue)).toMatchObject({ ready: 2 });
});
