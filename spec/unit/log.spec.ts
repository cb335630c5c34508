import { Writable } from 'node:stream';
import { ConsoleLogger, Logger as NestLogger } from '@nestjs/common';
import { pino } from 'pino';
import { createLogger, format } from 'winston';
import { Connection, ConnectionError, OptionsError, type LogEntry } from 'instance-queue';
import { loggerFrom, type LoggerOption } from '../../lib/log';

const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', port: 5672, socket: {} });
const err = new ConnectionError('CONNECTION_LOST', 'here:5672/', 'The link broke.', { cause, replyCode: 320 });
const bindings = { connection: 'shop.consumer' };

/** Writes one line of each level, the last one with an error. */
function use(option: LoggerOption): void {
  const log = loggerFrom(option, bindings);
  log.debug({ queue: 'a' }, 'resent');
  log.info('closing');
  log.info({ epoch: 2 }, 'connected');
  log.warn({ err, queue: 'a' }, 'detached');
}

type Call = readonly [level: string, ...args: unknown[]];
/** An object with these methods, which remember how they were called, and as whose. */
function recorder(...names: string[]): { calls: Call[]; logger: Record<string, (...args: unknown[]) => void> } {
  const calls: Call[] = [];
  const logger: Record<string, (...args: unknown[]) => void> = {};
  for (const name of names) {
    logger[name] = function (this: unknown, ...args: unknown[]) {
      expect(this).toBe(logger);
      calls.push([name, ...args]);
    };
  }
  return { calls, logger };
}
const loose = (logger: unknown): LoggerOption => logger as LoggerOption;

const plain = {
  name: 'ConnectionError',
  message: 'The link broke.',
  code: 'CONNECTION_LOST',
  endpoint: 'here:5672/',
  replyCode: 320,
  retryable: true,
  stack: expect.stringContaining('ConnectionError: The link broke.') as string,
  cause: { name: 'Error', message: 'connect ECONNREFUSED', code: 'ECONNREFUSED', port: 5672 },
};

describe('a logger that takes the message first', () => {
  it.each([
    ['the methods of console', ['debug', 'info', 'warn', 'error', 'log', 'trace', 'dir']],
    ['just the four', ['debug', 'info', 'warn', 'error']],
    ['those of winston, which has children', ['debug', 'info', 'warn', 'error', 'log', 'child', 'isLevelEnabled']],
    ['levels like those of pino, in winston', ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'log', 'child']],
  ])('is called so: %s', (_name, names) => {
    const { calls, logger } = recorder(...names);
    use(loose(logger));
    expect(calls).toMatchObject([
      ['debug', 'resent', { ...bindings, queue: 'a' }],
      ['info', 'closing', bindings],
      ['info', 'connected', { ...bindings, epoch: 2 }],
      ['warn', 'detached', { ...bindings, queue: 'a', err: plain }],
    ]);
  });

  it('has `log` for its `info`, as in Nest', () => {
    const { calls, logger } = recorder('debug', 'log', 'warn', 'error', 'verbose', 'fatal');
    use(loose(logger));
    expect(calls.map(([level, message]) => `${level} ${String(message)}`)).toEqual([
      'debug resent',
      'log closing',
      'log connected',
      'warn detached',
    ]);
  });
});

describe('a logger that takes the fields first', () => {
  it.each([
    ['bunyan, and roarr', ['trace', 'debug', 'info', 'warn', 'error', 'fatal']],
    ['just the four and child', ['debug', 'info', 'warn', 'error']],
  ])('is called so, on a child: %s', (_name, names) => {
    const child = recorder(...names);
    const parent = recorder(...names);
    const given: unknown[] = [];
    const makesChild = (more: object): unknown => (given.push(more), child.logger);
    use(loose({ ...parent.logger, child: makesChild }));
    expect(given).toEqual([bindings]);
    expect(parent.calls).toEqual([]);
    expect(child.calls).toMatchObject([
      ['debug', { queue: 'a' }, 'resent'],
      ['info', {}, 'closing'],
      ['info', { epoch: 2 }, 'connected'],
      ['warn', { queue: 'a', err: plain }, 'detached'],
    ]);
  });

  it('gets the error itself, if it serializes errors', () => {
    const { calls, logger } = recorder('debug', 'info', 'warn', 'error');
    use(loose(Object.assign(logger, { child: () => logger, serializers: { err: () => 'serialized' } })));
    expect(calls.at(-1)).toEqual(['warn', { err, queue: 'a' }, 'detached']);
  });

  it('need not make a child of use', () => {
    const { calls, logger } = recorder('debug', 'info', 'warn', 'error');
    use(loose(Object.assign(logger, { child: () => undefined })));
    expect(calls[0]).toEqual(['debug', { ...bindings, queue: 'a' }, 'resent']);
  });
});

describe('a function', () => {
  it('gets each entry, an error in it as data', () => {
    const entries: LogEntry[] = [];
    use((entry) => void entries.push(entry));
    expect(entries).toMatchObject([
      { level: 'debug', message: 'resent', fields: { ...bindings, queue: 'a' } },
      { level: 'info', message: 'closing', fields: bindings },
      { level: 'info', message: 'connected', fields: { ...bindings, epoch: 2 } },
      { level: 'warn', message: 'detached', fields: { ...bindings, queue: 'a', err: plain } },
    ]);
    expect(JSON.parse(JSON.stringify(entries.at(-1)))).toMatchObject({ fields: { err: plain } });
    expect(entries.at(-1)?.fields['err']).not.toHaveProperty('cause.socket');
  });

  it('with the four methods is a logger', () => {
    const { calls, logger } = recorder('debug', 'info', 'warn', 'error');
    const callable = Object.assign(() => {
      throw new Error('not called');
    }, logger);
    for (const name of ['debug', 'info', 'warn', 'error']) {
      Object.assign(callable, { [name]: (...args: unknown[]) => void calls.push([name, ...args]) });
    }
    use(loose(callable));
    expect(calls).toHaveLength(4);
  });
});

describe('the loggers that people have', () => {
  it('pino writes the error as it does', () => {
    const lines: unknown[] = [];
    use(pino({ level: 'debug', base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }));
    expect(lines).toMatchObject([
      { level: 20, msg: 'resent', ...bindings, queue: 'a' },
      { level: 30, msg: 'closing', ...bindings },
      { level: 30, msg: 'connected', epoch: 2 },
      { level: 40, msg: 'detached', queue: 'a', err: { type: 'ConnectionError', code: 'CONNECTION_LOST' } },
    ]);
  });

  it('pino stays pino with a level named log', () => {
    const lines: unknown[] = [];
    const to = { write: (line: string) => void lines.push(JSON.parse(line)) };
    use(pino({ level: 'debug', base: null, customLevels: { log: 35 } }, to));
    expect(lines.at(-1)).toMatchObject({ msg: 'detached', queue: 'a' });
  });

  it('winston writes JSON with all fields, the error whole', () => {
    const lines: unknown[] = [];
    const winston = createLogger({ level: 'debug', format: format.json() });
    winston.pipe(
      new Writable({
        objectMode: true,
        write(info: Record<symbol, string>, _encoding, done) {
          lines.push(JSON.parse(info[Symbol.for('message')] ?? ''));
          done();
        },
      }),
    );
    use(winston);
    expect(lines).toMatchObject([
      { level: 'debug', message: 'resent', ...bindings, queue: 'a' },
      { level: 'info', message: 'closing', ...bindings },
      { level: 'info', message: 'connected', ...bindings, epoch: 2 },
      { level: 'warn', message: 'detached', ...bindings, queue: 'a', err: plain },
    ]);
  });

  it('console', () => {
    const spies = (['debug', 'info', 'warn'] as const).map((name) => jest.spyOn(console, name).mockImplementation());
    use(console);
    expect(spies.map(({ mock }) => mock.calls.length)).toEqual([1, 2, 1]);
    expect(spies[2]?.mock.calls[0]).toMatchObject(['detached', { ...bindings, queue: 'a', err: plain }]);
    jest.restoreAllMocks();
  });

  it('that of Nest, as an instance and as the class', () => {
    const printed: string[] = [];
    class Printer extends ConsoleLogger {
      protected override printMessages(messages: unknown[], _context?: string, level = ''): void {
        printed.push(`${level}: ${messages.map((message) => JSON.stringify(message)).join(' ')}`);
      }
    }
    NestLogger.overrideLogger(new Printer());
    use(new NestLogger('Queue'));
    use(NestLogger);
    use(new Printer());
    expect(printed).toHaveLength(12);
    expect(printed[1]).toBe('log: "closing" {"connection":"shop.consumer"}');
    expect(printed[3]).toContain('warn: "detached" {"connection":"shop.consumer",');
    expect(printed[3]).toContain('"message":"The link broke."');
  });
});

describe('a logger that fails harms nothing', () => {
  const failing = (fail: () => unknown) => ({ debug: fail, info: fail, warn: fail, error: fail });
  const throws = (): never => {
    throw new Error('disk full');
  };
  const rejects = (): Promise<never> => Promise.reject(new Error('disk full'));

  it.each<[string, unknown]>([
    ['by throwing', failing(throws)],
    ['by rejecting', failing(rejects)],
    ['by throwing, as a child', { ...failing(throws), child: () => failing(throws) }],
    ['by rejecting, as a function', rejects],
  ])('%s', async (_name, logger) => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    expect(() => {
      use(loose(logger));
    }).not.toThrow();
    await new Promise(setImmediate);
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe('what cannot be a logger is refused', () => {
  it.each<[unknown]>([['loud'], [5], [{}], [{ info: () => 1 }], [{ debug: 1, info: 1, warn: 1, error: 1 }]])(
    '%p',
    (logger) => {
      expect(() => new Connection({ url: 'amqp://localhost', logger: loose(logger) })).toThrow(OptionsError);
    },
  );

  it('with a sentence that says what can', () => {
    expect(() => new Connection({ url: 'amqp://localhost', logger: loose('loud') })).toThrow(
      'Expected `logger` to be one of fatal, error, warn, info, debug, trace, silent, a logger with debug, info (or log), warn and error, or a function, got `loud` (string).',
    );
  });
});
