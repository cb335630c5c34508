import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { InstanceQueue } from 'instance-queue';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { runRecipe } from '../../support/guides/run-recipe';
import { eventually } from '../../support/waiting';

const GUIDE = 'demo/guides/nest.md';
// Its queues have the names that the guide gives them.
const given = rabbitmqFixture({ private: true });

interface OrdersService {
  readonly shipped: readonly number[];
  place(order: { readonly id: number }): Promise<void>;
}
interface Application {
  readonly AppModule: Type;
  readonly OrdersService: Type<OrdersService>;
}

test('the application of the guide ships what is placed, and closes its InstanceQueue', async () => {
  const { bystander, newClient } = given;
  bystander.deletesQueue('orders');
  const { AppModule, OrdersService } = await runRecipe<Application>(GUIDE, 'async place(order: Order)');
  const queue = newClient();
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(InstanceQueue)
    .useValue(queue)
    .compile();
  module.useLogger(false);
  await module.init();
  const orders = module.get<OrdersService>(OrdersService);
  await orders.place({ id: 7 });
  await eventually(() => orders.shipped.includes(7));
  expect(queue.state).toMatchObject({ producer: { status: 'connected' }, consumer: { status: 'connected' } });
  await module.close();
  expect(queue.state).toMatchObject({ producer: { status: 'closed' }, consumer: { status: 'closed' } });
});

test('the test of the guide needs no broker', async () => {
  const { AppModule, OrdersService } = await runRecipe<Application>(GUIDE, 'async place(order: Order)');
  const recipe = await runRecipe<{ test: () => Promise<readonly number[]> }>(GUIDE, 'new FakeInstanceQueue()', {
    declared: { AppModule, OrdersService },
  });
  expect(await recipe.test()).toEqual([7]);
});
