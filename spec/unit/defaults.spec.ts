import { join } from 'node:path';
import ts from 'typescript';
import type * as Options from '../../lib/options';
import { root } from '../support/compiler';

// As shipped: a run of all tests without the wire room has changed the copy that is loaded.
jest.resetModules();
const { DEFAULTS } = jest.requireActual<typeof Options>('../../lib/options');

/** `@default` of each member of each interface and type literal in a file: `Interface.member` → its text. */
function documented(file: string): [string, string][] {
  const path = join(root, 'lib', file);
  const source = ts.createSourceFile(path, ts.sys.readFile(path) ?? '', ts.ScriptTarget.Latest, true);
  const found: [string, string][] = [];
  const visit =
    (owner: string) =>
    (node: ts.Node): void => {
      const name = ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) ? node.name.text : owner;
      if (ts.isPropertySignature(node)) {
        for (const tag of ts.getJSDocTags(node)) {
          if (tag.tagName.text === 'default')
            found.push([`${owner}.${node.name.getText()}`, ts.getTextOfJSDocComment(tag.comment)?.trim() ?? '']);
        }
      }
      ts.forEachChild(node, visit(name));
    };
  visit('')(source);
  return found;
}

const FILES = ts.sys.readDirectory(join(root, 'lib'), ['.ts']).map((path) => path.slice(join(root, 'lib').length + 1));
const ALL = new Map(FILES.flatMap(documented));

/** As doc comments write it: `10 000`, `64 MiB`, `'wait'` or plain wait. */
function spellings(value: unknown): string[] {
  if (typeof value === 'string') return [value, `'${value}'`];
  if (typeof value !== 'number') return [String(value)];
  const grouped = String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
  return [String(value), grouped, `${String(value / 1024 / 1024)} MiB`];
}

/** Where each default is told. A default that nobody is told of is no default but a surprise. */
const TOLD: readonly (readonly [default_: unknown, ...members: string[]])[] = [
  [DEFAULTS.reconnect.factor, 'BackoffOptions.factor'],
  [DEFAULTS.reconnect.jitter, 'BackoffOptions.jitter'],
  [DEFAULTS.reconnect.attempts, 'BackoffOptions.attempts'],
  [DEFAULTS.reconnect.stableAfter, 'BackoffOptions.stableAfter'],
  [DEFAULTS.heartbeat, 'ConnectionOptions.heartbeat'],
  [DEFAULTS.connectTimeout, 'ConnectionOptions.connectTimeout'],
  [DEFAULTS.drainTimeout, 'ConnectionOptions.drainTimeout'],
  [DEFAULTS.authErrors, 'ConnectionOptions.authErrors'],
  [DEFAULTS.wire, 'ConnectionOptions.wire'],
  [DEFAULTS.logger, 'ConnectionOptions.logger'],
  [DEFAULTS.checkAfter, 'ConsumeOptions.checkAfter'],
  [DEFAULTS.downAfter, 'InstanceQueueOptions.downAfter'],
  [DEFAULTS.names, 'InstanceQueueOptions.names'],
  [DEFAULTS.prefetch, 'ConsumeOptions.prefetch'],
  [DEFAULTS.tagPrefix, 'ConsumeOptions.tagPrefix'],
  [DEFAULTS.onUndecodable, 'ConsumeOptions.onUndecodable'],
  [DEFAULTS.offset, 'ConsumeOptions.offset'],
  [DEFAULTS.declare, 'ConsumeOptions.declare', 'ProducerOptions.declare'],
  [DEFAULTS.onError, 'HandleOptions.onError'],
  [DEFAULTS.then, 'RetryOptions.then'],
  [DEFAULTS.delayedRetry, 'DelayedRetry.type'],
  [DEFAULTS.waitIn, 'RetryOptions.waitIn'],
  [DEFAULTS.delayIn, 'ProducerOptions.delayIn'],
  [DEFAULTS.maxInFlight, 'ProducerOptions.maxInFlight', 'PublishOptions.concurrency'],
  [DEFAULTS.timeout, 'ProducerOptions.timeout'],
  [DEFAULTS.mandatory, 'ProducerOptions.mandatory', 'OutboundMessage.mandatory'],
  [DEFAULTS.persistent, 'ProducerOptions.persistent', 'OutboundMessage.persistent'],
  [DEFAULTS.onUnknown, 'ProducerOptions.onUnknown'],
  [DEFAULTS.onNack, 'ProducerOptions.onNack'],
  [DEFAULTS.idempotent, 'RequestOptions.idempotent'],
  [DEFAULTS.outbox.limit, 'OutboxOptions.limit'],
  [DEFAULTS.outbox.bytes, 'OutboxOptions.bytes'],
  [DEFAULTS.outbox.overflow, 'OutboxOptions.overflow'],
  [DEFAULTS.compressed.above, 'CompressedOptions.above'],
  [DEFAULTS.compressed.encoding, 'CompressedOptions.encoding'],
  [DEFAULTS.compressed.maxBytes, 'CompressedOptions.maxBytes'],
  [DEFAULTS.durable, 'QueueSpec.durable', 'ExchangeSpec.durable'],
];

/** One option, two defaults: connections, then channels. */
const TWOFOLD = [
  ['BackoffOptions.min', DEFAULTS.reconnect.min, DEFAULTS.reopen.min],
  ['BackoffOptions.max', DEFAULTS.reconnect.max, DEFAULTS.reopen.max],
] as const;

/** Told in words, because they are none of the table: the broker's own, the value of another option, none at all. */
const IN_WORDS = [
  'BackoffOptions.initialAttempts',
  'BatchSize.count',
  'BatchSize.largest',
  'BindingSpec.routingKey',
  'BrowseOptions.limit',
  'CheckOptions.queue',
  'CheckOptions.timeout',
  'CloseOptions.drainTimeout',
  'CompareOptions.management',
  'ConnectionOptions.credentials',
  'ConnectionOptions.name',
  'ConsumeOptions.codec',
  'ConsumeOptions.consumerTimeout',
  'ConsumeOptions.exclusive',
  'DashboardOptions.authorize',
  'DashboardOptions.deadLetters',
  'DashboardOptions.panel',
  'DashboardOptions.title',
  'DelayedRetry.max',
  'DeleteTarget.ifEmpty',
  'DeleteTarget.ifUnused',
  'ExchangeSpec.autoDelete',
  'ExchangeSpec.internal',
  'ExchangeSpec.passive',
  'FakeDeliveryFields.codec',
  'FakeInstanceQueueOptions.broker',
  'FaultProxyOptions.host',
  'GetOptions.codec',
  'HandleOptions.concurrency',
  'HandleOptions.key',
  'HandleOptions.timeout',
  'HealthIndicatorOptions.connection',
  'InstanceQueueModuleAsyncOptions.inject',
  'InstanceQueueModuleOptions.connectionName',
  'InstanceQueueModuleSettings.isGlobal',
  'InstanceQueueModuleSettings.name',
  'InstanceQueueModuleSettings.waitUntilUp',
  'LookOptions.deliveryLimit',
  'LookOptions.limit',
  'LookOptions.where',
  'ManagementOptions.vhost',
  'MessageProperties.messageId',
  'MeterOptions.meterProvider',
  'MoveOptions.rate',
  'ProbesOptions.connect',
  'PartitionedOptions.codec',
  'ProbesOptions.live',
  'ProbesOptions.ready',
  'ProducerOptions.codec',
  'QueueSpec.autoDelete',
  'QueueSpec.consumerTimeout',
  'QueueSpec.deadLetterStrategy',
  'QueueSpec.deliveryLimit',
  'QueueSpec.exclusive',
  'QueueSpec.initialGroupSize',
  'QueueSpec.leaderLocator',
  'QueueSpec.overflow',
  'QueueSpec.passive',
  'QueueSpec.segmentSize',
  'QueueSpec.type',
  'ReadinessOptions.from',
  'RegisterOptions.prefix',
  'ReplayOptions.to',
  'RequestOptions.codec',
  'ResizeOptions.timeout',
  'SendOptions.timeout',
  'StreamFilter.matchUnfiltered',
  'StreamFilter.matches',
  'SubscribeOptions.connection',
  'TailOptions.keys',
  'TailOptions.offset',
  'TakeOptions.deliveryLimit',
  'TakeOptions.dryRun',
  'TakeOptions.limit',
  'TakeOptions.where',
  'SimulateOptions.duration',
  'SimulateOptions.faults',
  'SimulateOptions.from',
  'SimulateOptions.kinds',
  'SimulateOptions.seeds',
];

const TOLD_ONE_BY_ONE = TOLD.flatMap(([value, ...members]) => members.map((member) => [member, value] as const));

describe('the defaults in the doc comments are those of the table', () => {
  it.each(TOLD_ONE_BY_ONE)('%s: %p', (member, value) => {
    expect(spellings(value)).toContain(ALL.get(member));
  });

  it.each(TWOFOLD)('%s: %d for connections, %d for channels', (member, connections, channels) => {
    const both = spellings(connections).flatMap((a) =>
      spellings(channels).map((b) => `${a} for connections, ${b} for channels`),
    );
    expect(both).toContain(ALL.get(member));
  });

  it('where connections and channels share a default, it is the same in both tables', () => {
    const { min: _min, max: _max, ...connections } = DEFAULTS.reconnect;
    expect(DEFAULTS.reopen).toMatchObject(connections);
  });

  it('every default of the table is told somewhere', () => {
    const { reconnect: _reconnect, reopen: _reopen, outbox, compressed, ...flat } = DEFAULTS;
    const nested = [...Object.values(outbox), ...Object.values(compressed)];
    const told = new Set(TOLD.map(([value]) => value));
    for (const value of [...Object.values(flat), ...nested]) expect(told).toContain(value);
    expect(TOLD.length).toBe(Object.keys(flat).length + nested.length + 4);
  });

  it('every default of a doc comment is compared here, or told in words', () => {
    const compared = [...TOLD_ONE_BY_ONE.map(([member]) => member), ...TWOFOLD.map(([member]) => member), ...IN_WORDS];
    expect([...ALL.keys()].sort()).toEqual(compared.sort());
  });
});
