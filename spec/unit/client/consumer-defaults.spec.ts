import type { Topology } from 'instance-queue';
import { withConsumerDefaults } from '../../../lib/client/instance-queue-options';

interface Given {
  readonly queue: string;
  readonly noAck?: boolean | undefined;
  readonly topology?: Topology;
  readonly prefetch?: number | undefined;
  readonly tagPrefix?: string | undefined;
  readonly checkAfter?: number | undefined;
}
const completed = (given: Omit<Given, 'queue'>): Given =>
  withConsumerDefaults<Given>(options, { queue: 'orders', ...given });

const options = { url: 'amqp://localhost', consumer: { prefetch: 5, tagPrefix: 'app', checkAfter: 7 } } as const;

describe('the options of an InstanceQueue for all of its consumers', () => {
  it('apply where a consumer gives none, or undefined', () => {
    const { consumer } = options;
    expect(completed({})).toMatchObject(consumer);
    expect(completed({ prefetch: undefined, tagPrefix: undefined, checkAfter: undefined })).toMatchObject(consumer);
  });

  it('give way to what a consumer gives', () => {
    const given = { prefetch: 1, tagPrefix: '', checkAfter: 0 };
    expect(completed(given)).toEqual({ queue: 'orders', ...given });
  });

  it.each([
    [true, undefined],
    [false, 5],
    [undefined, 5],
  ])('have no prefetch for a consumer whose `noAck` is %s: %s', (noAck, prefetch) => {
    expect(completed({ noAck })).toMatchObject({ tagPrefix: 'app' });
    expect(completed({ noAck }).prefetch).toBe(prefetch);
  });
});
