// The tests that need no child process, so that thousands of runs fit into an hour; those that need a broker for the rooms alone
// whose work is with one.
const ES_MODULES = '(arktype|arkregex|@ark)';

module.exports = {
  rootDir: '../..',
  testMatch: [
    `<rootDir>/spec/{unit,property,model}/**/*.spec.ts`,
    `<rootDir>/spec/integration/@(amqp|cli|dashboard|nestjs|opentelemetry|prometheus|tools)/**/*.spec.ts`,
    ...(process.env.MUTATION_SEEDS === 'off' ? [] : ['<rootDir>/spec/mutation/*.spec.ts']),
  ],
  testPathIgnorePatterns: [
    '/node_modules/',
    // These start programs, or read the sources, which are not those of the mutant.
    'spec/unit/(package|compose|nestjs/peers|doc-contracts|defaults)|spec/integration/opentelemetry/official',
    // These cannot run twice in one process: a broker that is reconfigured, a debugger, modules loaded anew, a warning given once.
    'spec/integration/tools/delivery-limit|spec/property/amqp/corpus|spec/unit/(diagnostics|connection/no-connection-warning)',
  ],
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
    '^instance-queue/([a-z]+)$': [
      '<rootDir>/lib/$1/index.ts',
      '<rootDir>/lib/$1/$1.ts',
      '<rootDir>/lib/$1/register.ts',
    ],
  },
};
