import { buildSync } from 'esbuild';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import * as door from 'instance-queue';
import {
  ChannelError,
  ConnectionError,
  ConsumerError,
  InstanceQueueError,
  OptionsError,
  PublishError,
} from 'instance-queue';
import { REPLY_CODES, RETRYABLE, replyCodeRetryable, type ErrorCode } from '../../lib/errors';

const cause = new Error('underneath');
const details = { cause, replyCode: 404 };
const errors: readonly [string, InstanceQueueError, ErrorCode][] = [
  ['OptionsError', new OptionsError('prefetch', 'No.'), 'OPTIONS_INVALID'],
  ['ConnectionError', new ConnectionError('CONNECTION_LOST', 'here:5672/', 'No.', details), 'CONNECTION_LOST'],
  ['ChannelError', new ChannelError('No.', details), 'CHANNEL_CLOSED'],
  ['ConsumerError', new ConsumerError('UNDECODABLE', 'orders', 'No.', details), 'UNDECODABLE'],
  ['PublishError', new PublishError('PUBLISH_RETURNED', 'id-1', 'No.', details), 'PUBLISH_RETURNED'],
];

describe.each(errors)('%s', (name, error, code) => {
  it('is an Error, one of this library’s, and of its kind, which the door exports', () => {
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(InstanceQueueError);
    expect(Object.entries(door).find(([, exported]) => exported === error.constructor)?.[0]).toBe(name);
  });

  it('has its name, its code and its sentence, also in the stack', () => {
    expect(error).toMatchObject({ name, code, message: 'No.' });
    expect(error.stack).toMatch(new RegExp(`^${name}: No\\.`));
  });

  it('has the cause underneath, and the reply code, if there are any', () => {
    if (code === 'OPTIONS_INVALID') {
      expect('cause' in error).toBe(false);
      expect('replyCode' in error).toBe(false);
    } else {
      expect(error.cause).toBe(cause);
      expect(error.replyCode).toBe(404);
    }
  });
});

describe('each kind of error tells what it is about', () => {
  it('the option, the endpoint, the queue, the message', () => {
    expect(new OptionsError('prefetch', '').option).toBe('prefetch');
    expect(new ConnectionError('CONNECT_FAILED', 'here:5672/', '').endpoint).toBe('here:5672/');
    expect(new ConsumerError('UNDECODABLE', 'orders', '').queue).toBe('orders');
    expect(new PublishError('PUBLISH_NACKED', 'id-1', '')).toMatchObject({ messageId: 'id-1', maybeDelivered: false });
    expect(new PublishError('PUBLISH_UNKNOWN', 'id-1', '', { maybeDelivered: true }).maybeDelivered).toBe(true);
  });
});

describe('whether an error is retryable', () => {
  it('is decided for each code', () => {
    expect(RETRYABLE).toEqual({
      OPTIONS_INVALID: false,
      CONNECT_FAILED: true,
      CREDENTIALS_FAILED: true,
      CONNECTION_LOST: true,
      CONNECTION_CLOSED: false,
      CHANNEL_CLOSED: true,
      CONSUMER_CANCELLED: true,
      UNDECODABLE: false,
      WORK_TIMEOUT: true,
      NOT_DRAINED: true,
      PUBLISH_NACKED: true,
      PUBLISH_RETURNED: false,
      PUBLISH_REFUSED: false,
      PUBLISH_UNKNOWN: true,
      PUBLISH_TIMEOUT: true,
      PUBLISH_ABORTED: false,
      PUBLISH_INVALID: false,
      PUBLISH_CLOSED: false,
      PUBLISH_INCOMPLETE: true,
      OUTBOX_FULL: true,
      REPLY_TIMEOUT: true,
      REPLY_ERROR: false,
    });
  });

  it('takes the code and the reply code: one that cannot mend itself is enough', () => {
    expect(new ChannelError('').retryable).toBe(true);
    expect(new ChannelError('', { replyCode: 405 }).retryable).toBe(true);
    expect(new ChannelError('', { replyCode: 406 }).retryable).toBe(false);
    expect(new PublishError('PUBLISH_REFUSED', '', '', { replyCode: 404 }).retryable).toBe(false);
  });

  it.each([403, 406, 530, 541])('says that a refusal with %i needs a human', (code) => {
    expect(replyCodeRetryable(code)).toBe(false);
  });

  it.each([320, 404, 405, 504])('says that a refusal with %i can mend itself', (code) => {
    expect(replyCodeRetryable(code)).toBe(true);
  });

  it('gives unknown codes the benefit of the doubt', () => {
    expect(replyCodeRetryable(599)).toBe(true);
  });
});

describe('the table of reply codes', () => {
  it('has those of AMQP 0-9-1, by their names', () => {
    const names = Object.entries(REPLY_CODES).map(([code, { name }]) => `${code} ${name}`);
    expect(names).toEqual([
      '200 REPLY_SUCCESS',
      '311 CONTENT_TOO_LARGE',
      '312 NO_ROUTE',
      '313 NO_CONSUMERS',
      '320 CONNECTION_FORCED',
      '402 INVALID_PATH',
      '403 ACCESS_REFUSED',
      '404 NOT_FOUND',
      '405 RESOURCE_LOCKED',
      '406 PRECONDITION_FAILED',
      '501 FRAME_ERROR',
      '502 SYNTAX_ERROR',
      '503 COMMAND_INVALID',
      '504 CHANNEL_ERROR',
      '505 UNEXPECTED_FRAME',
      '506 RESOURCE_ERROR',
      '530 NOT_ALLOWED',
      '540 NOT_IMPLEMENTED',
      '541 INTERNAL_ERROR',
    ]);
  });
});

describe('a minified program', () => {
  it('shows errors by the names of their classes', () => {
    const { outputFiles } = buildSync({
      entryPoints: [join(__dirname, '../../lib/errors.ts')],
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'cjs',
      write: false,
    });
    const module = { exports: {} as typeof import('../../lib/errors') };
    const run = compileFunction(outputFiles[0]!.text, ['module', 'require']) as (...args: unknown[]) => void;
    run(module, createRequire(__filename));
    const minified = module.exports;
    const made = [
      new minified.OptionsError('prefetch', 'No.'),
      new minified.ConnectionError('CONNECTION_LOST', 'here:5672/', 'No.'),
      new minified.ChannelError('No.'),
      new minified.ConsumerError('UNDECODABLE', 'orders', 'No.'),
      new minified.PublishError('PUBLISH_RETURNED', 'id-1', 'No.'),
    ];
    expect(made.map(String)).toEqual(errors.map(([name]) => `${name}: No.`));
  });
});
