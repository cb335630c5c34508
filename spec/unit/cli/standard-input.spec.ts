import { PassThrough } from 'node:stream';
import { main } from '../../../lib/cli/main';

it('a command that waits for its standard input ends by Ctrl-C', async () => {
  const around = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} };
  const interrupted = new AbortController();
  const ended = main(['send', '--queue', 'orders', '--file', '-'], around, interrupted.signal);
  around.stdin.write('{"id":');
  interrupted.abort();
  expect(await ended).toBe(130);
  expect(around.stdout.read()).toBeNull();
});
