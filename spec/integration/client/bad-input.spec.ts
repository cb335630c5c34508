import { InstanceQueue, OptionsError, type InstanceQueueOptions } from 'instance-queue';

const url = 'amqp://localhost';
/** Options of a caller without types. */
const untyped = (options: unknown): InstanceQueueOptions => options as InstanceQueueOptions;

/** Invalid options, the option that the error names, and its message. */
const INVALID: readonly (readonly [unknown, string, RegExp])[] = [
  ['', 'url', /^Expected `url` to be an AMQP URL such as amqp:\/\/user:password@host:5672\/vhost, got ``\.$/],
  ['localhost', 'url', /^Expected `url` .* got `localhost`/],
  ['http://user:hush@localhost', 'url', /got `\*\*\*@localhost` with another protocol/],
  ['amqp://user:hush@localhost:99999', 'url', /^Expected `url` to be an AMQP URL/],
  [undefined, 'options', /an object of an InstanceQueue options|an object/],
  [{}, 'url', /^Expected `url` to be .*, got nothing\.$/],
  [{ url: 5 }, 'url', /got `5` \(number\)/],
  [{ url: [] }, 'url', /at least one/],
  [{ url: [url, 'nonsense'] }, 'url', /got `nonsense`/],
  [{ url, nmae: 'x' }, 'nmae', /^Unknown option `nmae` .*Did you mean `name`\?/],
  [{ url, heartbeat: -1 }, 'heartbeat', /a whole number of seconds from 0 to 600, got `-1` \(number\)/],
  [{ url, heartbeat: '10' }, 'heartbeat', /got `10` \(string\)/],
  [{ url, connectTimeout: 0 }, 'connectTimeout', /milliseconds from 1/],
  [{ url, drainTimeout: Infinity }, 'drainTimeout', /milliseconds/],
  [{ url, downAfter: NaN }, 'downAfter', /milliseconds/],
  [{ url, reconnect: { min: '1' } }, 'reconnect.min', /milliseconds/],
  [{ url, reconnect: { factor: 0 } }, 'reconnect.factor', /a number from 1/],
  [{ url, reopen: { tries: 3 } }, 'reopen.tries', /^Unknown option `reopen\.tries`/],
  [{ url, authErrors: 'never' }, 'authErrors', /one of 'terminal', 'retry'/],
  [
    { url, logger: 'loud' },
    'logger',
    /one of fatal, .* a logger with debug, info \(or log\), warn and error, or a function, got `loud`/,
  ],
  [{ url, logger: { info: () => undefined } }, 'logger', /a logger with debug, info/],
  [{ url, names: 'closed' }, 'names', /one of 'open', 'declared'/],
  [{ url, consumer: { prefetch: 0 } }, 'consumer.prefetch', /an integer from 1 to 65535, got `0` \(number\)/],
  [
    { url, consumer: { tagPrefix: 'x'.repeat(219) } },
    'consumer.tagPrefix',
    /at most 218 bytes of UTF-8, got a string of 219 bytes/,
  ],
  [{ url, producer: { maxInFlight: 0 } }, 'producer.maxInFlight', /an integer from 1/],
  [{ url, producer: { topology: {} } }, 'producer.topology', /^Unknown option/],
  [{ url, topology: { queues: [{}] } }, 'topology', /^Expected `topology/],
];

describe('invalid options are refused at once, with the option in the message', () => {
  it.each(INVALID.map(([options, option, sentence]) => ({ options, option, sentence })))(
    'an invalid `$option`: $sentence',
    ({ options, option, sentence }) => {
      let refused: unknown;
      try {
        new InstanceQueue(untyped(options));
      } catch (error) {
        refused = error;
      }
      expect(refused).toBeInstanceOf(OptionsError);
      expect(refused).toMatchObject({
        code: 'OPTIONS_INVALID',
        retryable: false,
        message: expect.stringMatching(sentence) as string,
      });
      expect((refused as OptionsError).message).not.toContain('hush');
      expect((refused as OptionsError).option).toContain(option.split('[')[0]!);
    },
  );

  it('a close() with invalid options closes nothing', async () => {
    const client = new InstanceQueue(url);
    expect(() => client.close({ drainTimeout: -1 })).toThrow(OptionsError);
    expect(client.state.producer.status).toBe('disconnected');
    expect(await client.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
  });
});
