import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { compressed, json, text, type Codec } from 'instance-queue';
import { InstanceQueueClient, InstanceQueueServer } from 'instance-queue/nestjs';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { eventually } from '../../support/waiting';

afterEach(closeAll);

/** How often an event was handled. */
let seen = 0;
class Prices {
  price(): number {
    return 42;
  }
  changed(): void {
    seen++;
  }
}
const methodOf = (name: 'price' | 'changed'): PropertyDescriptor =>
  Object.getOwnPropertyDescriptor(Prices.prototype, name)!;
MessagePattern('price')(Prices.prototype, 'price', methodOf('price'));
EventPattern('changed')(Prices.prototype, 'changed', methodOf('changed'));
Controller()(Prices);

describe('a microservice over an InstanceQueue that exists', () => {
  const codecs: [string, Codec<unknown, never>][] = [
    ['json', json()],
    ['text', text],
    ['compressed', compressed(json(), { above: 0 })],
  ];
  it.each(codecs)('speaks the packets of Nest, whatever the codec of its producers: %s', async (_, codec) => {
    const queue = closing(new FakeInstanceQueue({ producer: { codec } }));
    await queue.admin.declare({ queues: [{ name: 'prices' }] });
    const module = await Test.createTestingModule({ controllers: [Prices] }).compile();
    const server = new InstanceQueueServer({ connection: queue, queue: 'prices' });
    const app = closing(module.createNestMicroservice({ strategy: server }));
    await app.listen();
    const client = new InstanceQueueClient({ connection: queue, queue: 'prices' });
    const before = seen;
    await lastValueFrom(client.emit('changed', {}), { defaultValue: undefined });
    await eventually(() => seen === before + 1);
    expect(await firstValueFrom(client.send('price', {}))).toBe(42);
  });
});
