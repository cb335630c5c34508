import { Logger, type LoggerService } from '@nestjs/common';
import { nestLogger } from 'instance-queue/nestjs';

type Line = readonly [level: string, ...words: unknown[]];

describe('the log of a queue in that of Nest', () => {
  const lines: Line[] = [];
  const noting =
    (level: string) =>
    (...words: unknown[]): void => {
      // Nest passes on the stack that an error lacks.
      lines.push([level, ...words.filter((word) => word !== undefined)]);
    };
  const levels = ['log', 'error', 'warn', 'debug', 'verbose', 'fatal'] as const;
  const service = Object.fromEntries(levels.map((level) => [level, noting(level)])) as unknown as LoggerService;

  beforeEach(() => {
    lines.length = 0;
    Logger.overrideLogger(service);
  });
  afterEach(() => {
    Logger.overrideLogger(true);
  });

  const base = { level: 'info', message: 'consumer attached', fields: {}, time: 0 } as const;

  it.each([
    ['info', 'log'],
    ['warn', 'warn'],
    ['debug', 'debug'],
    ['error', 'error'],
  ] as const)('%s is `%s`', (level, method) => {
    nestLogger('Orders')({ ...base, level });
    expect(lines).toEqual([[method, 'consumer attached', 'Orders']]);
  });

  it('has the facts behind the message, text as it is and the rest as JSON', () => {
    nestLogger()({ ...base, fields: { queue: 'orders', prefetch: 5, reason: undefined, options: { a: [1] } } });
    expect(lines).toEqual([
      ['log', 'consumer attached queue=orders prefetch=5 reason=undefined options={"a":[1]}', 'InstanceQueue'],
    ]);
  });

  it('has what an error says in brackets, and its stack where Nest shows stacks', () => {
    const err = new RangeError('too many');
    nestLogger()({ ...base, level: 'warn', message: 'lost', fields: { err } });
    nestLogger()({ ...base, level: 'error', message: 'lost', fields: { err } });
    expect(lines).toEqual([
      ['warn', 'lost (too many)', 'InstanceQueue'],
      ['error', 'lost (too many)', err.stack, 'InstanceQueue'],
    ]);
  });

  it.each([[undefined], [null], ['text'], [{ message: 5 }]])('takes %j for no error', (err) => {
    nestLogger()({ ...base, level: 'error', message: 'lost', fields: { err } });
    expect(lines).toEqual([['error', 'lost', 'InstanceQueue']]);
  });
});
