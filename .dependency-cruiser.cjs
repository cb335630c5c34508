// @ts-check
// Imports go one way:
//
//   index → instance-queue → rpc → consumer, producer → connection → topology, codec, options, log → pure
//
// A rule per step says what may not be reached from there. Types count like values, unless a rule says otherwise.

/** Files without timers and I/O: where the property tests live. */
const pure = '^lib/(errors|(connection/)?(state|backoff)|(producer/)?(outbox|ring))\\.ts$';
const connection = '^lib/connection/';
const consumer = '^lib/consumer/';
const producer = '^lib/producer/';
const rpc = '^lib/rpc/';
/** What users' tests need; the fault proxy in it knows nothing of the library. */
const testing = '^lib/testing/';
const faults = '^lib/testing/faults/';
const frontDoor = '^lib/((index|instance-queue|health)\\.ts$|front-door/)';
/** Everything else that has no room of its own: topology, codec, options, log … */
const ground = '^lib/(?!(index|instance-queue|health|errors|state|backoff|outbox)\\.)[\\w-]+\\.ts$';

/** @type {(name: string, comment: string, from: object, to: object) => import('dependency-cruiser').IForbiddenRuleType} */
const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    // ── the rooms of lib/ ──
    forbid(
      'one-door',
      'index.ts is for users: nothing inside imports it.',
      { path: '^lib/' },
      { path: '^lib/index\\.ts$' },
    ),
    forbid('rpc-below-front-door', 'rpc/ knows nothing above it.', { path: rpc }, { path: frontDoor }),
    forbid(
      'consumer-alone',
      'consumer/ and producer/ do not know each other, nor what is above them.',
      { path: consumer },
      { path: [producer, rpc, frontDoor], pathNot: pure },
    ),
    forbid(
      'producer-alone',
      'consumer/ and producer/ do not know each other, nor what is above them.',
      { path: producer },
      { path: [consumer, rpc, frontDoor] },
    ),
    forbid(
      'connection-below-its-users',
      'connection/ knows no consumers and no producers: they register a closable with it.',
      { path: connection },
      { path: [consumer, producer, rpc, frontDoor], pathNot: pure },
    ),
    forbid(
      'testing-is-for-tests',
      'What users test with stands on the library, and never the other way round: it is not loaded without being asked for.',
      { path: '^lib/', pathNot: testing },
      { path: testing },
    ),
    forbid(
      'faults-stand-alone',
      'The fault proxy knows TCP, and nothing of the library.',
      { path: faults },
      { path: '^lib/', pathNot: faults },
    ),
    forbid(
      'ground-is-low',
      'topology, codec, options and log stand on the pure files and on each other.',
      { path: ground },
      { path: '^lib/', pathNot: [ground, pure] },
    ),
    forbid('pure-is-lowest', 'Pure files know pure files.', { path: pure }, { path: '^lib/', pathNot: pure }),
    forbid(
      'pure-does-nothing',
      'Pure files have no timers and no I/O.',
      { path: pure },
      { dependencyTypes: ['core'], path: '^(node:)?(net|tls|dns|fs|timers|http|https|child_process)' },
    ),
    forbid(
      'amqplib-at-one-place',
      'amqplib is called in dial.ts alone; elsewhere its types are enough.',
      { path: '^lib/', pathNot: '^lib/connection/dial\\.ts$' },
      { path: '(^|/)node_modules/amqplib/', dependencyTypesNot: ['type-only'] },
    ),

    // ── lib/ and its neighbours ──
    forbid(
      'lib-stands-alone',
      'The library knows nothing of its tests, its demo and its brokers.',
      { path: '^lib/' },
      { path: '^(spec|demo|compose)/' },
    ),
    forbid(
      'demo-is-a-user',
      'The demo uses the library as its users do: through the door.',
      { path: '^demo/' },
      { path: ['^lib/', '^spec/'], pathNot: '^lib/(testing/)?index\\.ts$' },
    ),
    forbid(
      'compose-knows-brokers-only',
      'What brings a broker up knows neither the library nor its tests; how ports and sockets are dealt with is the same.',
      { path: '^compose/' },
      { path: '^(lib|spec|demo)/', pathNot: faults },
    ),

    // ── hygiene ──
    forbid('no-circles', 'Two files that need each other are one, or three.', {}, { circular: true }),
    forbid('no-orphans', 'Nothing leads here.', { path: '^lib/', orphan: true, pathNot: '\\.d\\.ts$' }, {}),
    forbid('no-unresolvable', 'It must exist.', {}, { couldNotResolve: true }),
    forbid(
      'lib-ships-what-it-uses',
      'What the library imports must be installed with it.',
      { path: '^lib/' },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm', 'npm-peer'] },
    ),
    forbid(
      'declared',
      'What is imported is in package.json.',
      { path: '^(spec|demo|compose)/' },
      // An optional peer counts as undeclared, whatever else it is.
      { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-dev'] },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['require', 'node', 'default', 'types'] },
  },
};
