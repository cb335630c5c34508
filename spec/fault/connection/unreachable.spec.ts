import { runChild } from '../../support/child';

describe('a broker that cannot be reached', () => {
  const run = (...args: string[]) => runChild('fault/connection/unreachable.program.ts', args);

  it('causes one warning on standard error if there is no logger, and none otherwise', async () => {
    const [none, silent, error] = await Promise.all([run(), run('silent'), run('error')]);
    const warnings = none.stderr.match(/\[INSTANCE_QUEUE_NOT_CONNECTED\] InstanceQueueWarning: .*/g);
    expect(warnings).toEqual([
      expect.stringContaining(
        'No connection to RabbitMQ within 5 s. Cannot connect to 127.0.0.1:1/: nothing listens there.',
      ),
    ]);
    expect(none.stderr).toContain("or `logger: 'silent'`");
    expect(none.stderr).not.toContain('s3cret');
    for (const { stdout, stderr, code } of [silent, error])
      expect({ stdout, stderr, code }).toEqual({ stdout: '', stderr: '', code: 0 });
    expect(none.code).toBe(0);
  });
});
