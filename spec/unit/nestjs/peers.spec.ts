import type * as Nestjs from 'instance-queue/nestjs';

beforeEach(() => {
  jest.resetModules();
});
afterEach(() => {
  jest.dontMock('@nestjs/microservices');
});

function withMicroservices(failure: Error): typeof Nestjs {
  jest.doMock('@nestjs/microservices', () => {
    throw failure;
  });
  return jest.requireActual<typeof Nestjs>('instance-queue/nestjs');
}
const options = { url: 'amqp://localhost', queue: 'orders' };

test('without @nestjs/microservices the module is there, and its transport says what it needs', () => {
  const missing = Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
  const { InstanceQueueClient, InstanceQueueModule, InstanceQueueServer } = withMicroservices(missing);
  expect(InstanceQueueModule.forRoot({ url: 'amqp://localhost' })).toMatchObject({ global: true });
  expect(() => new InstanceQueueServer(options)).toThrow(
    'InstanceQueueServer needs @nestjs/microservices: npm install @nestjs/microservices',
  );
  expect(() => new InstanceQueueClient(options)).toThrow('InstanceQueueClient needs @nestjs/microservices');
});

test('a @nestjs/microservices that fails to load is not taken for one that is missing', () => {
  expect(() => withMicroservices(new Error('out of order'))).toThrow('out of order');
});
