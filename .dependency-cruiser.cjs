// @ts-check
// Imports go one way:
//
//   cli → index, tools → dead-letters → client → rpc, operators, retry, health, partitioned → consumer, producer → delay → connection → transport → ground → reactive, collections
//
// amqp/ implements transport/, and connection.ts alone knows of it.
//
// A rule per layer names what it may import. Type imports count like values, unless a rule says otherwise.

const LIB = '^lib/';
/** @type {(...names: string[]) => string} */
const rooms = (...names) => `^lib/(${names.join('|')})/`;
/** Files in no room: topology, codec, options, errors … */
const ground = '^lib/(?!index\\.)[\\w-]+\\.ts$';
/** Files without timers and I/O: property tests run on them. */
const pure =
  '^lib/(collections/(ring|ordered-map)|partitioned/(group|partition-of)|producer/outbox|consumer/stream/offset-tracker|connection/backoff|field-table)\\.ts$';
/** The entry points that need a package which may be absent: room → the packages, as paths below node_modules/. */
const optionalPeers = {
  nestjs: '@nestjs/',
  opentelemetry: '@opentelemetry/',
  prometheus: 'prom-client/',
};
const faults = '^lib/testing/faults/';

/** @type {(name: string, comment: string, from: object, to: object) => import('dependency-cruiser').IForbiddenRuleType} */
const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

/** A room imports from itself and from what is listed, and from nothing else in lib/. */
const layer = (/** @type {string} */ room, /** @type {string[]} */ ...below) =>
  forbid(
    `${room}-imports-down`,
    `${room}/ imports only from the layers below it.`,
    { path: rooms(room) },
    {
      path: LIB,
      pathNot: [rooms(room), ...below],
    },
  );

const base = [ground, rooms('reactive'), rooms('collections')];
const link = [...base, rooms('transport'), rooms('connection')];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    // ── the rooms of lib/ ──
    forbid(
      'one-door',
      'index.ts is for users: nothing inside imports it but the command line, which is one.',
      { path: '^lib/', pathNot: rooms('cli') },
      { path: '^lib/index\\.ts$' },
    ),
    layer('reactive'),
    layer('collections'),
    forbid(
      'ground-is-low',
      'Files in no room import each other, reactive/ and collections/.',
      { path: ground },
      {
        path: LIB,
        pathNot: base,
      },
    ),
    layer('transport', ...base),
    layer('amqp', ...base, rooms('transport')),
    layer('connection', ...base, rooms('transport'), rooms('amqp')),
    forbid(
      'transport-is-chosen-once',
      'Only connection.ts names an implementation of the transport port, as its default.',
      { path: rooms('connection'), pathNot: '^lib/connection/connection\\.ts$' },
      { path: rooms('amqp') },
    ),
    layer('delay', ...link),
    layer('consumer', ...link, rooms('delay')),
    layer('producer', ...link, rooms('delay')),
    layer('operators', ...base, rooms('consumer')),
    layer('retry', ...link, rooms('delay'), rooms('consumer'), rooms('producer'), rooms('operators')),
    layer('rpc', ...link, rooms('consumer'), rooms('producer'), rooms('operators'), rooms('retry')),
    layer('partitioned', ...link, rooms('consumer'), rooms('producer')),
    layer('health', ...link, rooms('consumer'), rooms('producer')),
    layer(
      'dashboard',
      ...base,
      rooms('client'),
      rooms('health'),
      rooms('connection'),
      rooms('consumer'),
      rooms('producer'),
    ),
    layer(
      'dead-letters',
      ...base,
      rooms('transport'),
      rooms('delay'),
      rooms('consumer'),
      rooms('producer'),
      rooms('client'),
    ),
    layer('tools', ...base, rooms('transport'), rooms('consumer'), rooms('client'), rooms('dead-letters')),
    forbid(
      'cli-is-a-user',
      'The command line uses the library as its users do: through the doors.',
      { path: rooms('cli') },
      { path: LIB, pathNot: [rooms('cli'), '^lib/(index|tools/index)\\.ts$'] },
    ),
    forbid(
      'cli-is-for-people',
      'Nothing imports the command line: a service does not load it.',
      { path: '^lib/', pathNot: rooms('cli') },
      { path: rooms('cli') },
    ),
    layer(
      'client',
      ...link,
      rooms('delay'),
      rooms('consumer'),
      rooms('producer'),
      rooms('operators', 'retry', 'rpc', 'health', 'partitioned'),
    ),
    forbid(
      'testing-is-for-tests',
      'The library never imports its test double: nothing loads it unasked.',
      { path: '^lib/', pathNot: rooms('testing') },
      { path: rooms('testing') },
    ),
    ...Object.entries(optionalPeers).flatMap(([room, peers]) => [
      forbid(
        `${room}-has-its-peers-to-itself`,
        `${peers} may be absent: the entry point that needs it imports it, and no other file does.`,
        { path: '^lib/', pathNot: rooms(room) },
        { path: `(^|/)node_modules/${peers}` },
      ),
      forbid(
        `${room}-is-an-entry-point`,
        `Nothing else imports ${room}/: it would need its optional peers.`,
        { path: '^lib/', pathNot: rooms(room) },
        { path: rooms(room) },
      ),
    ]),
    forbid(
      'faults-stand-alone',
      'The fault proxy knows TCP, and nothing of the library.',
      { path: faults },
      { path: '^lib/', pathNot: faults },
    ),
    forbid(
      'pure-does-nothing',
      'Pure files have no timers and no I/O.',
      { path: pure },
      { path: ['^(node:)?(net|tls|dns|fs|timers|http|https|child_process)$', '^node_modules/rxjs'] },
    ),
    forbid(
      'amqplib-below-amqp',
      'amqplib, its types included, is known to amqp/ alone.',
      { path: '^lib/', pathNot: rooms('amqp') },
      { path: '(^|/)node_modules/(@types/)?amqplib/' },
    ),
    forbid(
      'wire-inside-amqp',
      'What reaches below the documented surface of amqplib is used by amqp/ alone.',
      { path: '^lib/', pathNot: rooms('amqp') },
      { path: '^lib/amqp/wire/' },
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
      { path: ['^lib/', '^spec/'], pathNot: '^lib/(testing/index|dashboard/dashboard|index)\\.ts$' },
    ),
    forbid(
      'compose-knows-brokers-only',
      'What brings a broker up knows neither the library nor its tests; how ports and sockets are dealt with is the same.',
      { path: '^compose/' },
      { path: '^(lib|spec|demo)/', pathNot: faults },
    ),

    // ── hygiene ──
    forbid('no-circles', 'Two files that need each other are one, or three.', {}, { circular: true }),
    forbid(
      'no-orphans',
      'Nothing leads here.',
      { path: '^lib/', orphan: true, pathNot: '\\.d\\.ts$|^lib/cli/bin\\.ts$' },
      {},
    ),
    forbid(
      'no-unresolvable',
      'It must exist. (The panel of the demo imports from the page that it is loaded into.)',
      { pathNot: '^demo/dashboard/panel/' },
      { couldNotResolve: true },
    ),
    forbid(
      'lib-ships-what-it-uses',
      'What the library imports must be installed with it. Into the command line it is built in.',
      { path: '^lib/', pathNot: rooms('cli') },
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
