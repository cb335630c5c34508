/**
 * `npm run test:matrix`: the integration and fault tests on several generations of RabbitMQ, each in containers by
 * Testcontainers, one after the other, and then a table. `RABBITMQ_IMAGES` names other images, separated by commas; further
 * arguments go to jest (`npm run test:matrix -- spec/fault/generations`).
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findEngine, whyNoImage } from '../../compose/docker-engine';

const DEFAULT_IMAGES = 'rabbitmq:3.10-management,rabbitmq:4.0-management,rabbitmq:4.3-management';
const ROOMS = ['spec/integration', 'spec/fault'];

interface Generation {
  readonly image: string;
  /** The version of RabbitMQ, as the brokers report it. */
  readonly version: string;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  /** The reason why figures are missing. */
  readonly trouble?: string;
}

/** The part of jest's JSON report that is used here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function matrix(images: readonly string[], args: readonly string[]): Promise<void> {
  const engine = await findEngine();
  if (!engine)
    throw new Error('The matrix needs a Docker engine, and none can be reached: start one, or set DOCKER_HOST.');
  const generations: Generation[] = [];
  for (const image of images) {
    // Checked here, because the tests themselves would continue without Docker, on any broker they find.
    const trouble = await whyNoImage(engine, image, say);
    generations.push(trouble === undefined ? await run(image, args) : missing(image, `not to be had: ${trouble}`));
  }
  process.stdout.write(`\n${table(generations)}\n`);
  if (generations.some(({ failed, trouble }) => failed > 0 || trouble !== undefined)) process.exitCode = 1;
}

async function run(image: string, args: readonly string[]): Promise<Generation> {
  say(`\n── ${image} ──`);
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-matrix-'));
  const file = join(folder, 'report.json');
  const began = performance.now();
  const brokers: { readonly version: string; readonly contained: boolean }[] = [];
  try {
    const { AMQP_URL: _, ...env } = process.env;
    const jest = spawn(
      process.execPath,
      [
        require.resolve('jest/bin/jest'),
        ...(args.length > 0 ? args : ROOMS),
        // Cluster nodes use the RabbitMQ installed on this machine, not the image.
        '--selectProjects=broker',
        '--json',
        `--outputFile=${file}`,
      ],
      { env: { ...env, RABBITMQ_IMAGE: image }, stdio: ['inherit', 'ignore', 'pipe'] },
    );
    createInterface({ input: jest.stderr }).on('line', (line) => {
      say(line);
      const [, version, how] = /RabbitMQ (\S+) runs (in a container|as a private node)/.exec(line) ?? [];
      if (version !== undefined) brokers.push({ version, contained: how === 'in a container' });
    });
    await new Promise((resolve, reject) => jest.once('close', resolve).once('error', reject));
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    return {
      image,
      version: [...new Set(brokers.map(({ version }) => version))].join(', '),
      passed: report.numPassedTests,
      failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
      seconds: Math.round((performance.now() - began) / 1000),
      ...(brokers.some(({ contained }) => !contained) && {
        trouble: 'its container did not start; another broker was tested',
      }),
      ...(report.numPassedTests === 0 && { trouble: 'no test passed' }),
    };
  } catch (error) {
    return missing(image, error instanceof Error ? error.message : String(error));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function missing(image: string, trouble: string): Generation {
  return { image, version: '–', passed: 0, failed: 0, seconds: 0, trouble };
}

function table(generations: readonly Generation[]): string {
  const rows = generations.map(({ image, version, passed, failed, seconds, trouble }) =>
    [image, version, passed, failed, `${seconds} s`, trouble ?? ''].join(' | '),
  );
  return ['image | RabbitMQ | passed | failed | took | trouble', '--- | --- | --: | --: | --: | ---', ...rows]
    .map((row) => `| ${row} |`)
    .join('\n');
}

const images = (process.env.RABBITMQ_IMAGES || DEFAULT_IMAGES).split(',').map((image) => image.trim());
matrix(images, process.argv.slice(2)).catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
