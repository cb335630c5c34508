// Loading the package loads only the parts of RxJS that it uses, and pino with the first client that logs with it. The parts are
// those of the user's own `rxjs`.
const { InstanceQueue } = require('instance-queue');

const expect = (holds, what) => {
  if (!holds) throw new Error(`Expected: ${what}`);
};
const loaded = (path) => Object.keys(require.cache).some((file) => file.replaceAll('\\', '/').includes(path));

const queue = new InstanceQueue({ url: 'amqp://localhost', logger: 'silent' });
expect(loaded('/rxjs/dist/cjs/internal/Observable.js'), 'the parts of RxJS that are used');
expect(!loaded('/rxjs/dist/cjs/index.js'), 'no other part of RxJS');
expect(!loaded('/pino/'), 'no pino for a client that does not log with it');

const { BehaviorSubject, Observable } = require('rxjs');
expect(queue.state$ instanceof Observable, "state$ to be an Observable of the user's RxJS");
expect(new BehaviorSubject(0) instanceof Observable, 'one RxJS');
new InstanceQueue({ url: 'amqp://localhost', logger: 'error' });
expect(loaded('/pino/'), 'pino for a client that logs with it');
