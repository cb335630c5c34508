/** The time of `require('instance-queue')`, for the build in `dist/`, and that of its dependencies alone. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from '../statistics';
import { measure } from './report';

const run = promisify(execFile);
const root = join(__dirname, '../../../..');
const ROUNDS = 15;

/** Measures in a process of its own, ms. */
async function took(...modules: string[]): Promise<number> {
  const loading = modules.map((name) => `require(${JSON.stringify(name)});`).join('');
  const program = `const began = performance.now(); ${loading} console.log(performance.now() - began)`;
  const { stdout } = await run(process.execPath, ['-e', program], { cwd: root });
  return Number(stdout);
}

measure(async () => {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await took(join(root, 'dist/index.js')));
    theirs.push(await took('amqplib', 'rxjs', 'pino'));
  }
  const ratio = median(ours) / median(theirs);
  return [
    {
      what: "`require('instance-queue')`",
      value: `${median(ours).toFixed(0)} ms; ${ratio.toFixed(2)} × amqplib, rxjs and pino (${median(theirs).toFixed(0)} ms)`,
    },
  ];
});
