/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';
import { whyNotInstallable } from './compose/debian';
import { findPrograms } from './compose/rabbitmq-programs';
import { whyNoChromium } from './spec/support/browser/chromium';

type Project = Exclude<NonNullable<Config['projects']>[number], string>;

const MODULES = '(arktype|arkregex|@ark)';

function project(name: string, rooms: string[], more: Partial<Project> = {}): Project {
  return {
    displayName: name,
    testEnvironment: 'node',
    testMatch: rooms.map((room) => `<rootDir>/spec/${room}/**/*.spec.ts`),
    setupFiles: ['<rootDir>/spec/support/wire-mode.ts'],
    // The type checker runs once over everything (spec/types); here the tests are only transpiled.
    transform: {
      '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.json' }],
      // Packages that are ES modules alone, which Jest cannot `require` as they are.
      [`/node_modules/${MODULES}/.+\\.js$`]: [
        'ts-jest',
        { tsconfig: { allowJs: true, module: 'commonjs', target: 'es2022', isolatedModules: true } },
      ],
    },
    transformIgnorePatterns: [`/node_modules/(?!${MODULES}/)`],
    moduleNameMapper: {
      '^instance-queue$': '<rootDir>/lib/index.ts',
      '^instance-queue/dashboard$': '<rootDir>/lib/dashboard/dashboard.ts',
      '^instance-queue/health$': '<rootDir>/lib/health/index.ts',
      '^instance-queue/opentelemetry$': '<rootDir>/lib/opentelemetry/index.ts',
      '^instance-queue/prometheus$': '<rootDir>/lib/prometheus/register.ts',
      '^instance-queue/nestjs$': '<rootDir>/lib/nestjs/index.ts',
      '^instance-queue/testing$': '<rootDir>/lib/testing/index.ts',
      '^instance-queue/tools$': '<rootDir>/lib/tools/index.ts',
    },
    modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.stryker-tmp/'],
    ...more,
  };
}

/** Laws that need more than Node: they are run where it is, or can be, installed on this machine. */
const where = async (name: string, whyNot: () => Promise<string | undefined>): Promise<Project[]> => {
  const room = `fault/${name}`;
  const reason = await whyNot();
  if (reason === undefined) return [project(name, [room])];
  process.stderr.write(`${name}: ${reason}, so spec/${room} is left out\n`);
  return [];
};

/** A cluster brings up three nodes of its own. */
async function whyNoNodes(): Promise<string | undefined> {
  const whyNot = findPrograms() === undefined ? await whyNotInstallable() : undefined;
  return whyNot === undefined ? undefined : `no rabbitmq-server, and ${whyNot}`;
}

async function config(): Promise<Config> {
  return {
    projects: [
      project('fast', ['unit', 'property', 'types', 'docs', 'simulation']),
      project('broker', ['integration', 'fault'], {
        globalSetup: '<rootDir>/spec/support/brokers/broker-setup.ts',
        globalTeardown: '<rootDir>/spec/support/brokers/broker-teardown.ts',
        testPathIgnorePatterns: ['<rootDir>/spec/fault/(cluster|dashboard)/'],
      }),
      ...(await where('cluster', whyNoNodes)),
      ...(await where('dashboard', whyNoChromium)),
    ],
    // Each worker of the broker project has a RabbitMQ of its own.
    maxWorkers: 2,
    testTimeout: 90_000,
    testSequencer: '<rootDir>/spec/support/sequencer.cjs',
    reporters: ['default', '<rootDir>/spec/support/summary-reporter.cjs'],
    collectCoverageFrom: ['lib/**/*.ts'],
  };
}

// Not `export default`: newer versions of Node would try the file as an ES module first, and warn.
module.exports = config;
