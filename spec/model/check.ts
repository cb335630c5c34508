/**
 * Checks the models of the protocol exhaustively, then plants faults in them: each has to be found, under the name of the invariant
 * that it breaks. Spin, because its checker is a package of Debian, needs no virtual machine, and takes a minute for all.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installPackage, whyNotInstallable } from '../../compose/debian';

const run = promisify(execFile);
const SPIN = '/usr/bin/spin';
/** More than any run takes. */
const DEPTH = 10_000;

interface Run {
  readonly model: 'producer' | 'consumer';
  readonly defines: readonly string[];
  /** The invariant that is broken; undefined: none is. */
  readonly breaks?: string;
}

const RUNS: readonly Run[] = [
  { model: 'producer', defines: [] },
  { model: 'producer', defines: ['DEADLINES=0'] },
  { model: 'producer', defines: ['REJECT_UNKNOWN'] },
  { model: 'consumer', defines: [] },
  { model: 'producer', defines: ['FAULT_SETTLED_AGAIN'], breaks: 'settlesOnce' },
  { model: 'producer', defines: ['FAULT_NACK_COUNTS_TWICE'], breaks: 'tellsTheTruth' },
  { model: 'producer', defines: ['FAULT_LOSS_DECLINES'], breaks: 'tellsTheTruth' },
  { model: 'producer', defines: ['FAULT_ACKS_SURVIVE'], breaks: 'nothingConfirmedIsMissing' },
  { model: 'producer', defines: ['FAULT_RESTORED_LAST'], breaks: 'inOrder' },
  { model: 'producer', defines: ['FAULT_RESEND_LOST', 'DEADLINES=0'], breaks: 'endsEmpty' },
  { model: 'consumer', defines: ['FAULT_MULTIPLE_OVER_UNSETTLED'], breaks: 'nothingUnsettledIsGone' },
  { model: 'consumer', defines: ['FAULT_SETTLED_AGAIN'], breaks: 'settlesOnItsChannel' },
  { model: 'consumer', defines: ['FAULT_SETTLED_ON_THE_NEXT_CHANNEL'], breaks: 'settlesOnItsChannel' },
  { model: 'consumer', defines: ['FAULT_PREFETCH_IGNORED'], breaks: 'withinPrefetch' },
  { model: 'consumer', defines: ['FAULT_UNACKED_NOT_DELIVERED_AGAIN'], breaks: 'endsEmpty' },
];

interface Outcome {
  readonly breaks: string | undefined;
  readonly states: number;
}

async function check({ model, defines }: Run): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-model-'));
  const inFolder = { cwd: folder, maxBuffer: 2 ** 24 };
  try {
    await run(SPIN, ['-a', ...defines.map((define) => `-D${define}`), join(__dirname, `${model}.pml`)], inFolder);
    await run('gcc', ['-O2', '-w', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c'], inFolder);
    const { stdout } = await run(join(folder, 'pan'), [`-m${String(DEPTH)}`, '-w24'], inFolder);
    const states = Number(/(\d+) states, stored/.exec(stdout)?.[1]);
    const breaks = /assertion violated (\w+)/.exec(stdout)?.[1];
    const complete = stdout.includes('errors: 0') && !stdout.includes('Search not completed');
    if (!complete && breaks === undefined) throw new Error(`Spin did not finish the model ${model}:\n${stdout}`);
    return { breaks, states };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  if (!existsSync(SPIN)) {
    const whyNot = await whyNotInstallable();
    if (whyNot !== undefined) throw new Error(`Expected Spin at ${SPIN} (https://spinroot.com), and ${whyNot}.`);
    await installPackage({ name: 'spin', program: SPIN });
  }
  for (const one of RUNS) {
    const { breaks, states } = await check(one);
    const name = [one.model, ...one.defines].join(' ');
    if (breaks !== one.breaks) {
      process.exitCode = 1;
      console.error(`✗ ${name}: expected ${one.breaks ?? 'no violation'}, found ${breaks ?? 'none'}`);
    } else console.log(`✓ ${name}: ${breaks === undefined ? `${String(states)} states, all` : `found, ${breaks}`}`);
  }
}

void main();
