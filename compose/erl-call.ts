import { execFile } from 'node:child_process';
import { ctlError } from './ctl-error';

const OPTIONS = ['-r', '-e', '-fetch_stdout', '-no_result_term'];

/** Where a node listens for other nodes, and the environment of a program that may talk to it: its `HOME` holds the cookie. */
export interface ErlangPeer {
  readonly distPort: number;
  readonly env: NodeJS.ProcessEnv;
}

/** How `rabbitmqctl eval` writes a value: as an Erlang term, or with `--formatter json`. */
export type Notation = 'term' | 'json';

const WRITTEN: Record<Notation, string> = {
  term: 'io:format("ok ~tp~n", [Value])',
  json: 'io:put_chars([<<"ok ">>, rabbit_json:encode(#{value => Value})])',
};

/**
 * What `rabbitmqctl eval` prints, asked by `erl_call`, which comes with Erlang: it takes 20 ms, where `rabbitmqctl` starts an Erlang of
 * its own and takes a second of CPU. Rejects if the expression fails. Undefined if nothing was evaluated: there is no such program, the
 * node does not answer, or what was given is no expression. Then `rabbitmqctl` can be asked, whose errors say more.
 * https://www.erlang.org/doc/apps/erl_interface/erl_call_cmd.html
 */
export function erlCall(
  { distPort, env }: ErlangPeer,
  expression: string,
  notation: Notation,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = { env, timeout: 120_000, maxBuffer: 64 * 1024 * 1024 };
    const child = execFile('erl_call', ['-address', `127.0.0.1:${distPort}`, ...OPTIONS], options, (error, stdout) => {
      if (stdout.startsWith('ok ')) resolve(stdout.slice('ok '.length));
      else if (stdout !== '' || error?.killed === true) reject(ctlError(['eval', expression], stdout || 'no answer'));
      else resolve(undefined);
    });
    // A program that is missing, or has ended before it read all, is what the callback above is called with.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(evaluation(expression, notation));
  });
}

/** In a function, so that no variable of the expression meets one of ours. `erl_call` reads bytes: characters beyond ASCII are escaped. */
function evaluation(expression: string, notation: Notation): string {
  const body = expression
    .replace(/\.\s*$/, '')
    .replace(/[^\p{ASCII}]/gu, (character) => `\\x{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  return (
    `try (fun() -> ${body} end)() of Value -> ${WRITTEN[notation]} ` +
    `catch Class:Reason -> io:format("~tp: ~tp", [Class, Reason]) end.\n`
  );
}
