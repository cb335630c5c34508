import { main } from '../../../lib/cli/main';
import { surroundings } from '../../support/surroundings';

it.each([['--help'], ['dead', 'replay', '--help'], ['--version'], ['no-such-command']])(
  'help ends quietly when nobody reads it to its end: %s',
  async (...args) => {
    const around = surroundings();
    for (const stream of [around.stdout, around.stderr]) {
      stream._write = (_chunk, _encoding, done) => {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      };
    }
    const code = await main(args, around, new AbortController().signal);
    await new Promise((resolve) => setImmediate(resolve));
    expect(code).toBe(args[0] === 'no-such-command' ? 2 : 0);
  },
);
