import { handle, type InstanceQueue } from 'instance-queue';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { runRecipe } from '../../support/guides/run-recipe';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

type PutBack = (queue: InstanceQueue, from: string, to: string, quiet: number) => Promise<number>;

describe('putting dead letters back as the guide does', () => {
  const given = rabbitmqFixture();
  let putBack: PutBack;
  let queue: string;
  let dead: string;
  beforeEach(async () => {
    const recipe = 'export async function putBack';
    ({ putBack } = await runRecipe<{ putBack: PutBack }>('demo/guides/retrying.md', recipe));
    queue = given.bystander.freeQueueName();
    dead = given.bystander.freeQueueName();
  });

  /** A consumer that rejects what `fails` says, and the bodies it has worked on. */
  const consumer = (fails: (body: unknown) => boolean) => {
    const client = given.newClient();
    const worked: unknown[] = [];
    const work = ({ body }: { readonly body: unknown }): void => {
      worked.push(body);
      if (fails(body)) throw new Error('again');
    };
    const spec = { name: queue, deadLetter: { queue: dead } };
    const handled = collect(client.consume({ queue: spec }).pipe(handle(work, { onError: 'reject' })));
    return { client, worked, handled };
  };

  it('ends though every letter fails again at once, and leaves each where it was', async () => {
    const { bystander } = given;
    const bodies = numbers(50);
    const { client, worked, handled } = consumer(() => true);
    await bystander.declareQueue({}, dead);
    await bystander.put(dead, ...bodies);
    expect(await putBack(client, dead, queue, 500)).toBe(bodies.length);
    await eventually(() => handled.values.length === bodies.length);
    expect(worked).toEqual(bodies);
    await eventually(async () => (await bystander.count(dead)).ready === bodies.length);
    // The next round takes them all once more.
    expect(await putBack(client, dead, queue, 500)).toBe(bodies.length);
  });

  it('keeps what it does not understand: bytes, properties and headers as they were', async () => {
    const { bystander } = given;
    await bystander.declareQueue({}, dead);
    const carbon = await bystander.declareQueue();
    const properties = { contentType: 'application/json', messageId: 'm1', type: 'order', correlationId: 'c1' };
    const headers = { mine: true, CC: [carbon], 'x-death': [{ queue, reason: 'rejected', count: 1 }] };
    await bystander.publishRaw('', dead, [Buffer.from('{"bro')], { ...properties, headers });
    await bystander.purge(carbon);
    expect(await putBack(given.newClient(), dead, queue, 500)).toBe(1);
    const [back] = await bystander.takeAtLeast(queue, 1);
    expect(back?.content.toString()).toBe('{"bro');
    expect(back?.properties).toMatchObject({ ...properties, headers: { mine: true } });
    expect(back?.properties.headers).not.toHaveProperty('x-death');
    expect((await bystander.count(carbon)).ready).toBe(0);
    expect((await bystander.count(dead)).ready).toBe(0);
  });

  it('rejects when a letter cannot be sent, and leaves it where it was', async () => {
    const { bystander } = given;
    await bystander.declareQueue({}, dead);
    await bystander.put(dead, 1);
    await bystander.declareQueue({ arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' } }, queue);
    const rejected = putBack(given.newClient({ producer: { onNack: 'reject' } }), dead, queue, 500);
    await expect(rejected).rejects.toMatchObject({ code: 'PUBLISH_NACKED' });
    await eventually(async () => (await bystander.count(dead)).ready === 1);
  });
});
