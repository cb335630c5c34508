import { ChannelError } from '../../../lib/errors';
import { consumeRefusal, declareRefusal, isRabbitMq } from '../../../lib/transport/broker-version';

const rabbit = (version: string): { readonly product: string; readonly version: string } => ({
  product: 'RabbitMQ',
  version,
});

describe('the version of a broker', () => {
  it.each([
    ['4.3.6', '4.3', true],
    ['4.3.0-rc.1', '4.3', true],
    ['4.10.0', '4.3', true],
    ['5.0.0', '4.3', true],
    ['4.2.9', '4.3', false],
    ['3.13.0', '4.3', false],
    ['3.10.8', '3.12', false],
    ['unknown', '3.12', false],
  ])('%s is at least %s: %p', (version, since, is) => {
    expect(isRabbitMq(rabbit(version), since)).toBe(is);
  });

  it('of another product, or of none that is known, says nothing', () => {
    const other = { product: 'LavinMQ', version: '2.0.0' };
    const queue = { name: 'q', type: 'quorum', delayedRetry: { min: 5 } } as const;
    for (const broker of [other, undefined]) {
      expect(isRabbitMq(broker, '1.0')).toBe(false);
      expect(declareRefusal(broker, {}, queue)).toBeUndefined();
    }
  });
});

describe('a RabbitMQ that is too old for an option', () => {
  it.each([
    [
      '3.10.8',
      { delayedRetry: { min: 5 } },
      'Cannot declare queue `q`: `delayedRetry` needs RabbitMQ 4.3 or later, and this broker is RabbitMQ 3.10.8.',
    ],
    [
      '4.2.1',
      { delayedRetry: { min: 5 } },
      'Cannot declare queue `q`: `delayedRetry` needs RabbitMQ 4.3 or later, and this broker is RabbitMQ 4.2.1.',
    ],
    [
      '3.11.0',
      { consumerTimeout: 5 },
      'Cannot declare queue `q`: `consumerTimeout` needs RabbitMQ 3.12 or later, and this broker is RabbitMQ 3.11.0.',
    ],
  ])('does not get to declare it: %s, %j', (version, options, message) => {
    const spec = { name: 'q', type: 'quorum', ...options } as const;
    for (const refusal of [
      declareRefusal(rabbit(version), {}, spec),
      declareRefusal(rabbit(version), { queues: [{ name: 'other' }, spec] }),
    ]) {
      expect(refusal).toBeInstanceOf(ChannelError);
      expect(refusal).toMatchObject({ message, retryable: false });
    }
  });

  it('does not get to consume with it', () => {
    const filtered = { filter: () => true };
    expect(consumeRefusal(rabbit('3.12.9'), 'q', filtered)).toMatchObject({
      message:
        'Cannot consume from queue `q`: `filter` needs RabbitMQ 3.13 or later, and this broker is RabbitMQ 3.12.9.',
      retryable: false,
    });
    expect(consumeRefusal(rabbit('4.2.0'), 'q', { consumerTimeout: 5 })?.message).toContain('needs RabbitMQ 4.3');
    expect(consumeRefusal(rabbit('4.2.0'), 'q', filtered)).toBeUndefined();
  });

  it('may be asked for anything else, and whether the queue exists', () => {
    expect(declareRefusal(rabbit('3.10.8'), { queues: [{ name: 'q', maxLength: 5 }] })).toBeUndefined();
    const passive = { name: 'q', type: 'quorum', passive: true, delayedRetry: { min: 5 } } as const;
    expect(declareRefusal(rabbit('3.10.8'), {}, passive)).toBeUndefined();
  });
});
