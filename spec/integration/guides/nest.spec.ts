import 'reflect-metadata';
import type { DynamicModule, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { InstanceQueueOptions } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { instanceQueueAt, runRecipe } from '../../support/guides/run-recipe';
import { eventually } from '../../support/waiting';

const GUIDE = 'demo/guides/nest.md';
// Its queues have the names that the guide gives them.
const { url } = privateBroker();
afterEach(closeAll);

interface OrdersService {
  readonly seen: readonly number[];
  place(order: { readonly id: number }): Promise<void>;
}

test('the Nest module of the guide gives one InstanceQueue to all, and closes it with the application', async () => {
  const side = closing(await Bystander.at(url));
  side.deletesQueue('orders');
  const { QueueModule } = await runRecipe<{ QueueModule: { forRoot(options: InstanceQueueOptions): DynamicModule } }>(
    GUIDE,
    'class QueueModule implements',
    { url },
  );
  const { OrdersModule, OrdersService } = await runRecipe<{ OrdersModule: Type; OrdersService: Type<OrdersService> }>(
    GUIDE,
    'class OrdersService',
    { url },
  );
  const { AppModule } = await runRecipe<{ AppModule: Type }>(GUIDE, 'class AppModule', {
    url,
    declared: { QueueModule, OrdersModule },
  });
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  module.useLogger(false);
  const app = closing(module.createNestApplication());
  await app.init();

  const orders = app.get<OrdersService>(OrdersService);
  await orders.place({ id: 7 });
  await eventually(() => orders.seen.includes(7));

  const queue = app.get(instanceQueueAt(url));
  expect(queue.state).toMatchObject({ producer: { status: 'connected' }, consumer: { status: 'connected' } });
  await app.close();
  expect(queue.state).toMatchObject({ producer: { status: 'closed' }, consumer: { status: 'closed' } });
});
