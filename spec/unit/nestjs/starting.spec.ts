import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getInstanceQueueToken, InstanceQueueModule, Subscribe } from 'instance-queue/nestjs';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closeAll, closing } from '../../support/closing';
import { rejection } from '../../support/waiting';

afterEach(closeAll);

class Orders {
  ship(): void {
    // Works on nothing here.
  }
}
class Refunds {
  pay(): void {
    // Nor here.
  }
}
Subscribe({ queue: 'orders' })(Orders.prototype, 'ship', Object.getOwnPropertyDescriptor(Orders.prototype, 'ship')!);
const wrong = { queue: 'refunds', prefetch: 0 };
Subscribe(wrong)(Refunds.prototype, 'pay', Object.getOwnPropertyDescriptor(Refunds.prototype, 'pay')!);
for (const provider of [Orders, Refunds]) Injectable()(provider);

it('an application that does not start, because an option is wrong, consumes nothing', async () => {
  const queue = closing(new FakeInstanceQueue());
  const testing = Test.createTestingModule({
    imports: [InstanceQueueModule.forRoot({ url: 'amqp://localhost' })],
    providers: [Orders, Refunds],
  });
  const module = await testing.overrideProvider(getInstanceQueueToken()).useValue(queue).compile();
  expect(await rejection(module.createNestApplication().init())).toMatchObject({ option: 'prefetch' });
  expect([queue.state.consumer.status, queue.broker.queues]).toEqual(['disconnected', []]);
});
