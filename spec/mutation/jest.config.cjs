// The tests that need neither a broker nor a child process, so that thousands of runs fit into an hour.
// `ROOMS=producer,collections` keeps the tests of these folders alone.
// `SEEDS=off` leaves out the simulator and the laws of simulated brokers, which take most of the time for the mutants that
// the other tests do not find.
const rooms = (process.env.ROOMS ?? '').split(',').filter(Boolean);
const where = rooms.length > 0 ? `@(${rooms.join('|')})/` : '';
const ES_MODULES = '(arktype|arkregex|@ark)';

module.exports = {
  rootDir: '../..',
  runner: '<rootDir>/spec/mutation/first-failure-runner.cjs',
  testEnvironment: require.resolve('./first-failure-environment.cjs'),
  testSequencer: '<rootDir>/spec/mutation/slowest-last.cjs',
  testMatch: [
    `<rootDir>/spec/{unit,property,model}/${where}**/*.spec.ts`,
    ...(process.env.SEEDS === 'off' ? [] : ['<rootDir>/spec/mutation/*.spec.ts']),
  ],
  // These start programs, or read the sources, which are not those of the mutant.
  testPathIgnorePatterns: ['/node_modules/', 'spec/unit/(package|compose|nestjs|doc-contracts|defaults)'],
  setupFiles: ['<rootDir>/spec/support/wire-mode.ts', '<rootDir>/spec/mutation/setup.ts'],
  transform: {
    '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.json' }],
    [`/node_modules/${ES_MODULES}/.+\\.js$`]: [
      'ts-jest',
      { tsconfig: { allowJs: true, module: 'commonjs', target: 'es2022', isolatedModules: true } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!${ES_MODULES}/)`],
  modulePathIgnorePatterns: ['<rootDir>/.stryker-tmp/'],
  moduleNameMapper: {
    '^instance-queue$': '<rootDir>/lib/index.ts',
    '^instance-queue/([a-z]+)$': ['<rootDir>/lib/$1/index.ts', '<rootDir>/lib/$1/$1.ts'],
  },
};
