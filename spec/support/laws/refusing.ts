import type { ConsumeOptions, QueueSpec, Topology } from 'instance-queue';
import { lastValueFrom } from 'rxjs';
import { isAtLeast } from '../brokers/version';
import { publishError } from '../publish-error';
import { eventually, rejection, until } from '../waiting';
import type { BrokerUnderTest } from './broker-under-test';

type Spec = Omit<QueueSpec, 'name'>;

/** What brokers refuse, and in which words: a test that passes on one must not fail on the other. */
export function refusingLaws(given: { readonly broker: BrokerUnderTest }): void {
  /** Some refusals may pass: without this the client would wait for that. */
  const once = { reopen: { initialAttempts: 1 } };
  const refusal = (spec: QueueSpec, topology: Topology = {}): Promise<unknown> =>
    rejection(lastValueFrom(given.broker.newClient({ ...once, topology }).consume({ queue: spec })));
  const containing = (sentence: string): string => expect.stringContaining(sentence) as string;
  const refused = (name: string, replyCode: number, sentence: string) => ({
    code: 'CHANNEL_CLOSED',
    replyCode,
    message: containing(`Cannot declare queue \`${name}\`: ${sentence}`),
  });
  const inequivalent = (name: string, argument: string, rest: string) =>
    refused(
      name,
      406,
      `406 PRECONDITION_FAILED - inequivalent arg '${argument}' for queue '${name}' in vhost '/': ${rest}`,
    );

  it.each<[string, Spec, Spec, string, string]>([
    [
      'another TTL',
      { messageTtl: 1000 },
      { messageTtl: 2000 },
      'x-message-ttl',
      "received '2000' but current is '1000'",
    ],
    ['a TTL', {}, { messageTtl: 5 }, 'x-message-ttl', "received the value '5' of type 'byte' but current is none"],
    [
      'no TTL',
      { messageTtl: 500 },
      {},
      'x-message-ttl',
      "received none but current is the value '500' of type 'short'",
    ],
    [
      'an expiry',
      {},
      { expires: 500_000 },
      'x-expires',
      "received the value '500000' of type 'signedint' but current is none",
    ],
    [
      'an empty dead-letter exchange',
      {},
      { deadLetter: { queue: 'dead' } },
      'x-dead-letter-exchange',
      "received the value '' of type 'longstr' but current is none",
    ],
    [
      'another dead-letter queue',
      { deadLetter: { queue: 'dead' } },
      { deadLetter: { queue: 'other' } },
      'x-dead-letter-routing-key',
      "received 'other' but current is 'dead'",
    ],
    [
      'a single active consumer',
      {},
      { singleActiveConsumer: true },
      'x-single-active-consumer',
      "received the value 'true' of type 'bool' but current is none",
    ],
    [
      'priorities',
      {},
      { maxPriority: 5 },
      'x-max-priority',
      "received the value '5' of type 'byte' but current is none",
    ],
    ['another life', {}, { autoDelete: true }, 'auto_delete', "received 'true' but current is 'false'"],
    [
      'several differences at once',
      { maxLength: 5, messageTtl: 1000 },
      { maxLength: 6, messageTtl: 2000 },
      'x-message-ttl',
      "received '2000' but current is '1000'",
    ],
    [
      'another limit of a quorum queue',
      { type: 'quorum', deliveryLimit: 3 },
      { type: 'quorum', deliveryLimit: 4 },
      'x-delivery-limit',
      "received '4' but current is '3'",
    ],
    [
      'another type than quorum',
      { type: 'quorum' },
      { type: 'classic' },
      'x-queue-type',
      "received 'classic' but current is 'quorum'",
    ],
    [
      'another type than classic',
      { type: 'classic' },
      { type: 'quorum' },
      'x-queue-type',
      "received 'quorum' but current is 'classic'",
    ],
    [
      'other segments of a stream',
      { type: 'stream', segmentSize: 1_000_000 },
      { type: 'stream', segmentSize: 2_000_000 },
      'x-stream-max-segment-size-bytes',
      "received '2000000' but current is '1000000'",
    ],
  ])('a queue is not declared again with %s', async (_, declared, asked, argument, rest) => {
    const name = await given.broker.declareQueue(declared);
    expect(await refusal({ ...asked, name })).toMatchObject(inequivalent(name, argument, rest));
  });

  it.each<[string, Spec, Spec]>([
    ['a type that it has anyway', {}, { type: 'classic' }],
    ['no type, if it is a classic one', { type: 'classic', messageTtl: 5000 }, { messageTtl: 5000 }],
    ['priorities, if it is a quorum one', { type: 'quorum' }, { type: 'quorum', arguments: { 'x-max-priority': 5 } }],
    [
      'arguments that the broker does not know',
      { arguments: { 'x-mine': 1 } },
      { arguments: { 'x-mine': 2, mine: 3 } },
    ],
    ['a delivery limit, if it is a classic one', {}, { deliveryLimit: 5 }],
    [
      'the same number of another size',
      { messageTtl: 5000 },
      { arguments: { 'x-message-ttl': { '!': 'long', value: 5000 } } },
    ],
  ])('a queue is declared again with %s', async (_, declared, asked) => {
    const name = await given.broker.declareQueue(declared);
    const queue = given.broker.newClient();
    queue.consume({ queue: { ...asked, name } }).subscribe();
    await until(queue.health$, ({ status }) => status === 'up');
  });

  it('the age of a stream is compared by its words, and since RabbitMQ 4.3 by what they mean', async () => {
    const name = await given.broker.declareQueue({ type: 'stream', maxAge: '7D' });
    const differs = (received: string, current: string) =>
      inequivalent(name, 'x-max-age', `received '${received}' but current is '${current}'`);
    const byMeaning = isAtLeast(given.broker, '4.3');
    expect(await refusal({ name, type: 'stream', maxAge: '8D' })).toMatchObject(
      byMeaning ? differs('691200000', '604800000') : differs('8D', '7D'),
    );
    const hours = { queues: [{ name, type: 'stream', maxAge: '168h' }] } as const;
    const again = await given.broker
      .newClient()
      .admin.declare(hours)
      .catch((error: unknown) => error);
    if (byMeaning) expect(again).toBeUndefined();
    else expect(again).toMatchObject({ message: containing("received '168h' but current is '7D'") });
  });

  it.each<[string, Spec, string]>([
    [
      'a dead-letter key and no exchange',
      { arguments: { 'x-dead-letter-routing-key': 'k' } },
      "invalid arg 'x-dead-letter-routing-key' for NAME in vhost '/': routing_key_but_no_dlx_defined",
    ],
    [
      'a negative TTL',
      { arguments: { 'x-message-ttl': -1 } },
      "invalid arg 'x-message-ttl' for NAME in vhost '/': {value_negative,-1}",
    ],
    [
      'an expiry of 0',
      { arguments: { 'x-expires': 0 } },
      "invalid arg 'x-expires' for NAME in vhost '/': {value_zero,0}",
    ],
    [
      'a length in words',
      { arguments: { 'x-max-length': 'many' } },
      `invalid arg 'x-max-length' for NAME in vhost '/': "expected integer, got longstr"`,
    ],
    [
      'an unknown overflow',
      { arguments: { 'x-overflow': 'nope' } },
      "invalid arg 'x-overflow' for NAME in vhost '/': invalid_overflow",
    ],
    [
      'too many priorities',
      { arguments: { 'x-max-priority': 256 } },
      "invalid arg 'x-max-priority' for NAME in vhost '/': {max_value_exceeded,256}",
    ],
    [
      'a dead-letter exchange in numbers',
      { arguments: { 'x-dead-letter-exchange': 5 } },
      "invalid type 'byte' for arg 'x-dead-letter-exchange' in NAME in vhost '/'",
    ],
    [
      'a single active consumer in words',
      { arguments: { 'x-single-active-consumer': 'yes' } },
      "invalid arg 'x-single-active-consumer' for NAME in vhost '/': {unacceptable_type,longstr}",
    ],
    [
      'an unknown type',
      { arguments: { 'x-queue-type': 'nope' } },
      `invalid arg 'x-queue-type' for NAME in vhost '/': "unsupported queue type 'nope'"`,
    ],
    [
      'a delivery limit, as a classic one',
      { deliveryLimit: 5 },
      "invalid arg 'x-delivery-limit' for NAME in vhost '/' of queue type rabbit_classic_queue",
    ],
    [
      'priorities, as a quorum one',
      { arguments: { 'x-queue-type': 'quorum', 'x-max-priority': 5 } },
      "invalid arg 'x-max-priority' for NAME in vhost '/' of queue type rabbit_quorum_queue",
    ],
    [
      'an end with its last consumer, as a quorum one',
      { autoDelete: true, arguments: { 'x-queue-type': 'quorum' } },
      "invalid property 'auto-delete' for NAME in vhost '/'",
    ],
    [
      'an end with its connection, as a quorum one',
      { exclusive: true, arguments: { 'x-queue-type': 'quorum' } },
      "invalid property 'exclusive-owner' for NAME in vhost '/'",
    ],
    [
      'an end with its connection, as a quorum one that does not last either',
      { exclusive: true, durable: false, arguments: { 'x-queue-type': 'quorum' } },
      "invalid property 'exclusive-owner' for NAME in vhost '/'",
    ],
    [
      'an end with its last consumer, as a stream',
      { autoDelete: true, arguments: { 'x-queue-type': 'stream' } },
      "invalid property 'auto-delete' for NAME in vhost '/'",
    ],
    [
      'a TTL in fractions',
      { arguments: { 'x-message-ttl': 1.5 } },
      `invalid arg 'x-message-ttl' for NAME in vhost '/': "expected integer, got double"`,
    ],
    [
      'a TTL of more than ten years',
      { arguments: { 'x-message-ttl': 315_360_000_001 } },
      "invalid arg 'x-message-ttl' for NAME in vhost '/': {value_too_large,315360000001}",
    ],
    [
      'several faults at once',
      { arguments: { 'x-overflow': 'nope', 'x-max-length': -1 } },
      "invalid arg 'x-max-length' for NAME in vhost '/': {value_negative,-1}",
    ],
    [
      'an overflow in numbers',
      { arguments: { 'x-overflow': 5 } },
      "invalid arg 'x-overflow' for NAME in vhost '/': {unacceptable_type,byte}",
    ],
    [
      'an unknown place of its leader, as a quorum one',
      { arguments: { 'x-queue-type': 'quorum', 'x-queue-leader-locator': 'far away' } },
      "invalid arg 'x-queue-leader-locator' for NAME in vhost '/': invalid_queue_locator_arg",
    ],
    [
      'a dead-letter key in numbers',
      { arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 5 } },
      "invalid arg 'x-dead-letter-routing-key' for NAME in vhost '/': {unacceptable_type,byte}",
    ],
    [
      'an unknown strategy of dead letters, as a quorum one',
      { arguments: { 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'twice' } },
      "invalid arg 'x-dead-letter-strategy' for NAME in vhost '/': invalid_dlx_strategy",
    ],
    [
      'no members, as a quorum one',
      { arguments: { 'x-queue-type': 'quorum', 'x-quorum-initial-group-size': 0 } },
      "invalid arg 'x-quorum-initial-group-size' for NAME in vhost '/': {value_zero,0}",
    ],
    [
      'priorities that are too many, as a quorum one, which knows none',
      { arguments: { 'x-queue-type': 'quorum', 'x-max-priority': 256 } },
      "invalid arg 'x-max-priority' for NAME in vhost '/' of queue type rabbit_quorum_queue",
    ],
    [
      'a TTL, as a stream',
      { arguments: { 'x-queue-type': 'stream', 'x-message-ttl': 5000 } },
      "invalid arg 'x-message-ttl' for NAME in vhost '/' of queue type rabbit_stream_queue",
    ],
    [
      'an age without a unit, as a stream',
      { arguments: { 'x-queue-type': 'stream', 'x-max-age': '5' } },
      "invalid arg 'x-max-age' for NAME in vhost '/': invalid_max_age",
    ],
    [
      'an age of nothing, as a stream',
      { arguments: { 'x-queue-type': 'stream', 'x-max-age': '0D' } },
      "invalid arg 'x-max-age' for NAME in vhost '/': invalid_max_age",
    ],
    [
      'an age in numbers, as a stream',
      { arguments: { 'x-queue-type': 'stream', 'x-max-age': 5 } },
      "invalid arg 'x-max-age' for NAME in vhost '/': {unacceptable_type,byte}",
    ],
    [
      'segments of less than nothing, as a stream',
      { arguments: { 'x-queue-type': 'stream', 'x-stream-max-segment-size-bytes': -1 } },
      "invalid arg 'x-stream-max-segment-size-bytes' for NAME in vhost '/': {value_negative,-1}",
    ],
    [
      'arguments of others, the first of which is named',
      { arguments: { 'x-queue-type': 'quorum', 'x-queue-mode': 'lazy', 'x-max-priority': 5 } },
      "invalid arg 'x-queue-mode' for NAME in vhost '/' of queue type rabbit_quorum_queue",
    ],
    [
      'a dead-letter exchange in numbers, whatever else is wrong',
      { arguments: { 'x-expires': 0, 'x-dead-letter-exchange': 5 } },
      "invalid type 'byte' for arg 'x-dead-letter-exchange' in NAME in vhost '/'",
    ],
    [
      'a type in numbers',
      { arguments: { 'x-queue-type': 5 } },
      "invalid arg 'x-queue-type' for NAME in vhost '/': {unacceptable_type,byte}",
    ],
  ])('a queue is not made with %s', async (_, spec, sentence) => {
    const name = given.broker.freeQueueName();
    const words = `406 PRECONDITION_FAILED - ${sentence.replace('NAME', `queue '${name}'`)}`;
    expect(await refusal({ ...spec, name })).toMatchObject(refused(name, 406, words));
  });

  it('a queue that must exist and does not is refused, and so is a reserved name', async () => {
    const name = given.broker.freeQueueName();
    expect(await refusal({ name, passive: true })).toMatchObject(
      refused(name, 404, `404 NOT_FOUND - no queue '${name}' in vhost '/'`),
    );
    expect(await refusal({ name: `amq.${name}` })).toMatchObject(
      refused(`amq.${name}`, 403, `403 ACCESS_REFUSED - queue name 'amq.${name}' contains reserved prefix 'amq.*'`),
    );
  });

  it('an exclusive queue is locked for others, and so is another queue for an exclusive declaration', async () => {
    const [exclusive, plain] = [given.broker.freeQueueName(), await given.broker.declareQueue()];
    const owner = given.broker.newClient();
    owner.consume({ queue: { name: exclusive, exclusive: true } }).subscribe();
    await until(owner.health$, ({ status }) => status === 'up');
    const sentence = (name: string): string =>
      `405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${name}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`;
    const asked: [QueueSpec, string][] = [
      [{ name: exclusive, exclusive: true }, exclusive],
      [{ name: exclusive }, exclusive],
      [{ name: exclusive, passive: true }, exclusive],
      [{ name: plain, exclusive: true }, plain],
    ];
    for (const [spec, name] of asked) {
      expect(await refusal(spec)).toMatchObject({ ...refused(name, 405, sentence(name)), retryable: true });
    }
  });

  it('a queue with an exclusive consumer takes no other, and an exclusive consumer no queue with another', async () => {
    const name = await given.broker.declareQueue();
    const [first, other] = [given.broker.newClient(), given.broker.newClient(once)];
    const consumer = first.consumer({ queue: name, exclusive: true });
    consumer.deliveries$.subscribe();
    await until(consumer.state$, ({ status }) => status === 'attached');
    const sentence = `403 ACCESS_REFUSED - queue '${name}' in vhost '/' in exclusive use`;
    expect(await rejection(lastValueFrom(other.consume({ queue: name })))).toMatchObject({
      code: 'CHANNEL_CLOSED',
      replyCode: 403,
      message: containing(sentence),
    });
    await consumer.close();
    first.consume({ queue: name }).subscribe();
    await eventually(async () => (await given.broker.count(name)).consumers === 1);
    expect(await rejection(lastValueFrom(other.consume({ queue: name, exclusive: true })))).toMatchObject({
      replyCode: 403,
      message: containing(sentence),
    });
  });

  it.each<[string, Spec, Omit<ConsumeOptions, 'queue'>, string]>([
    ['a priority in words', {}, { arguments: { 'x-priority': 'high' } }, ': "expected integer, got longstr"'],
    [
      'a priority in fractions, by a quorum queue',
      { type: 'quorum' },
      { arguments: { 'x-priority': 1.5 } },
      ': "expected integer, got double"',
    ],
    ['a priority, by a stream', { type: 'stream' }, { priority: 5 }, ' of queue type rabbit_stream_queue'],
  ])('a consumer is not taken with %s', async (_, spec, options, rest) => {
    const name = await given.broker.declareQueue(spec);
    const error = await rejection(lastValueFrom(given.broker.newClient(once).consume({ queue: name, ...options })));
    expect(error).toMatchObject({
      replyCode: 406,
      message: containing(`406 PRECONDITION_FAILED - invalid arg 'x-priority' for queue '${name}' in vhost '/'${rest}`),
    });
  });

  it('a queue of single active consumers is not consumed exclusively, and not read without one if it is quorum', async () => {
    const classic = await given.broker.declareQueue({ singleActiveConsumer: true });
    const quorum = await given.broker.declareQueue({ type: 'quorum', singleActiveConsumer: true });
    const queue = given.broker.newClient(once);
    expect(await rejection(lastValueFrom(queue.consume({ queue: classic, exclusive: true })))).toMatchObject({
      replyCode: 403,
      message: containing(`403 ACCESS_REFUSED - queue '${classic}' in vhost '/' in exclusive use`),
    });
    expect(await rejection(queue.admin.get(quorum))).toMatchObject({
      replyCode: 405,
      message: containing(`405 RESOURCE_LOCKED - cannot obtain access to locked queue '${quorum}' in vhost '/'`),
    });
  });

  it('publishing to an exchange that is missing, or internal, is refused', async () => {
    const [missing, internal] = [given.broker.freeQueueName(), given.broker.freeQueueName()];
    const queue = given.broker.newClient({
      topology: { exchanges: [{ name: internal, type: 'fanout', internal: true, autoDelete: true }] },
    });
    const error = await publishError(queue.send({ exchange: missing, body: 1 }));
    expect(error).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 404 });
    expect(error.message).toContain(`NOT_FOUND - no exchange '${missing}' in vhost '/'`);
    const other = await publishError(queue.send({ exchange: internal, body: 1 }));
    expect(other).toMatchObject({ code: 'PUBLISH_REFUSED', replyCode: 403 });
    expect(other.message).toContain(`ACCESS_REFUSED - cannot publish to internal exchange '${internal}' in vhost '/'`);
  });

  it('exchanges that differ, and bindings that lead nowhere, are refused', async () => {
    const name = await given.broker.declareQueue();
    const [exchange, missing] = [given.broker.freeQueueName(), given.broker.freeQueueName()];
    const spec = { name: exchange, type: 'direct', alternateExchange: 'amq.fanout' } as const;
    const owner = given.broker.newClient({
      topology: { exchanges: [spec], bindings: [{ exchange, queue: name, routingKey: 'k' }] },
    });
    owner.consume({ queue: name }).subscribe();
    await until(owner.health$, ({ status }) => status === 'up');
    const differs = (argument: string, rest: string): string =>
      `406 PRECONDITION_FAILED - inequivalent arg '${argument}' for exchange '${exchange}' in vhost '/': ${rest}`;
    const { alternateExchange: _, ...without } = spec;
    const asked: [Topology, string][] = [
      [{ exchanges: [{ ...spec, type: 'topic' }] }, differs('type', "received 'topic' but current is 'direct'")],
      [{ exchanges: [{ ...spec, durable: false }] }, differs('durable', "received 'false' but current is 'true'")],
      [
        { exchanges: [{ ...spec, autoDelete: true }] },
        differs('auto_delete', "received 'true' but current is 'false'"),
      ],
      [{ exchanges: [{ ...spec, internal: true }] }, differs('internal', "received 'true' but current is 'false'")],
      [
        { exchanges: [without] },
        differs('alternate-exchange', "received none but current is the value 'amq.fanout' of type 'longstr'"),
      ],
      [
        { exchanges: [{ ...spec, alternateExchange: 'amq.topic' }] },
        differs('alternate-exchange', "received 'amq.topic' but current is 'amq.fanout'"),
      ],
      [
        { exchanges: [{ name: missing, type: 'direct', arguments: { 'alternate-exchange': 5 } }] },
        `406 PRECONDITION_FAILED - invalid type 'byte' for arg 'alternate-exchange' in exchange '${missing}' in vhost '/'`,
      ],
      [
        { exchanges: [{ name: missing, type: 'direct', passive: true }] },
        `404 NOT_FOUND - no exchange '${missing}' in vhost '/'`,
      ],
      [
        { exchanges: [{ name: `amq.${missing}`, type: 'direct' }] },
        `403 ACCESS_REFUSED - exchange name 'amq.${missing}' contains reserved prefix 'amq.*'`,
      ],
      [{ bindings: [{ exchange: missing, queue: name }] }, `404 NOT_FOUND - no exchange '${missing}' in vhost '/'`],
      [
        { bindings: [{ exchange: 'amq.direct', queue: missing }] },
        `404 NOT_FOUND - no queue '${missing}' in vhost '/'`,
      ],
      [
        { bindings: [{ exchange: 'amq.direct', toExchange: missing }] },
        `404 NOT_FOUND - no exchange '${missing}' in vhost '/'`,
      ],
      [
        { bindings: [{ exchange: '', queue: name }] },
        '403 ACCESS_REFUSED - operation not permitted on the default exchange',
      ],
      [
        { bindings: [{ exchange: 'amq.headers', queue: name, arguments: { 'x-match': 'most' } }] },
        '406 PRECONDITION_FAILED - Invalid x-match field value <<"most">>; expected all, any, all-with-x, or any-with-x',
      ],
    ];
    for (const [topology, sentence] of asked) {
      expect(await refusal({ name }, topology)).toMatchObject({
        message: containing(`Cannot declare queue \`${name}\`: ${sentence}`),
      });
    }
    await given.broker.deleteExchange(exchange);
  });
}
