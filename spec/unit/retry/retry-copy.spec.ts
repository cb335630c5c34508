import { copyOf } from '../../../lib/retry/retry';
import { fakeDelivery } from '../../support/fake-delivery';

describe('the headers of a copy', () => {
  const failure = { attempts: 1, history: undefined, spent: false };
  const headersOf = (error: unknown): Readonly<Record<string, unknown>> =>
    copyOf(fakeDelivery('a'), { queue: 'q' }, { ...failure, error }).properties.headers ?? {};

  it('have a bounded size, whatever the error', () => {
    const headers = headersOf(Object.assign(new Error('ä😀'.repeat(10_000)), { name: 'N'.repeat(1000) }));
    expect(Array.from(String(headers['x-instance-queue-error-message']))).toHaveLength(256);
    expect(Buffer.byteLength(JSON.stringify(headers))).toBeLessThan(2000);
  });

  it('are those of the failure alone where the message had none', () => {
    const { properties: _, ...bare } = fakeDelivery('a');
    const { headers } = copyOf(
      { ...bare, properties: {} },
      { queue: 'q' },
      { ...failure, error: new Error('no') },
    ).properties;
    expect(headers).toMatchObject({ 'x-instance-queue-attempts': 1, 'x-instance-queue-error-message': 'no' });
    expect(headers).not.toHaveProperty('x-instance-queue-x-death');
  });

  it('hold no credentials of a URL', () => {
    const headers = headersOf(new Error('cannot reach amqp://me:secret@host/v or https://token@api'));
    expect(headers['x-instance-queue-error-message']).toBe('cannot reach amqp://host/v or https://api');
  });

  it.each([['text'], [undefined], [null], [{ secret: 1 }], [5]])('name the type of %p, which is no error', (thrown) => {
    expect(headersOf(thrown)).toMatchObject({ 'x-instance-queue-error-name': typeof thrown });
  });
});
