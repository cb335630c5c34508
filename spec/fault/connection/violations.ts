/** Protocol violations by a broker. None may cost a client more than its connection. */
import type { FakeClient } from '../../support/fake-broker/fake-broker';
import { encodeMethod } from '../../support/frames/methods';
import { nestedTable, rawFrame, rawHeader } from '../../support/frames/raw-publisher';

/** A connection, and the channel on it that is in use. */
export interface Target {
  readonly client: FakeClient;
  readonly channel: number;
}
export interface Targets {
  readonly consuming: Target & { readonly tag: string };
  readonly producing: Target;
}
type Violation = (targets: Targets) => void;

const HUGE = 2 ** 52;
const A_MIB = Buffer.alloc(128 * 1024 - 8);

function announce({ client, channel, tag }: Targets['consuming'], bodySize: number, table = nestedTable(0)): void {
  const fields = { consumerTag: tag, deliveryTag: 1, redelivered: false, exchange: '', routingKey: '' };
  client.write(Buffer.concat([encodeMethod('basic.deliver', channel, fields), rawHeader(channel, bodySize, table)]));
}

export const VIOLATIONS: Readonly<Record<string, Violation>> = {
  'a delivery for an unknown consumer': ({ consuming: { client, channel } }) =>
    client.deliver(channel, 'unknown', 1, 'x'),
  'a delivery on a channel that is not open': ({ consuming: { client, tag } }) => client.deliver(77, tag, 1, 'x'),
  'the same delivery twice': ({ consuming: { client, channel, tag } }) => {
    client.deliver(channel, tag, 1, 'x');
    client.deliver(channel, tag, 1, 'x');
  },
  'delivery tags that go backwards': ({ consuming: { client, channel, tag } }) => {
    for (const number of [HUGE, 3, 0]) client.deliver(channel, tag, number, 'x');
  },
  'a body without a method': ({ consuming: { client, channel } }) =>
    client.write(rawFrame(3, channel, Buffer.from('body'))),
  'more body than announced': ({ consuming }) => {
    announce(consuming, 3);
    consuming.client.write(rawFrame(3, consuming.channel, Buffer.alloc(100)));
  },
  'a negative body size': ({ consuming }) => {
    announce(consuming, 2 ** 63);
    consuming.client.write(rawFrame(3, consuming.channel, Buffer.alloc(100)));
  },
  'two methods instead of a message': ({ consuming: { client, channel, tag } }) => {
    const fields = { consumerTag: tag, deliveryTag: 1, redelivered: false, exchange: '', routingKey: '' };
    client.send(channel, 'basic.deliver', fields);
    client.send(channel, 'basic.deliver', fields);
  },
  'a header of another class': ({ consuming }) => {
    const frame = rawHeader(consuming.channel, 0, nestedTable(0));
    frame.writeUInt16BE(99, 7);
    consuming.client.write(frame);
  },
  'headers 20 000 deep': ({ consuming }) => {
    announce(consuming, 1, nestedTable(20_000));
    consuming.client.write(rawFrame(3, consuming.channel, Buffer.from('1')));
  },
  'headers with wrong lengths': ({ consuming }) => {
    const table = nestedTable(200);
    table.writeUInt32BE(0xffff_ff00, 6);
    announce(consuming, 1, table);
  },
  'an answer without a request': ({ consuming: { client, channel } }) =>
    client.send(channel, 'queue.declare-ok', { queue: 'x', messageCount: 0, consumerCount: 0 }),
  'a second open-ok of a channel': ({ consuming: { client, channel } }) =>
    client.send(channel, 'channel.open-ok', { channelId: '' }),
  'a close-ok without a close': ({ consuming: { client } }) => client.send(0, 'connection.close-ok'),
  'a cancel of an unknown consumer': ({ consuming: { client, channel } }) =>
    client.send(channel, 'basic.cancel', { consumerTag: 'unknown', nowait: true }),
  'a method of a client': ({ producing: { client, channel } }) =>
    client.send(channel, 'basic.publish', { exchange: '', routingKey: '' }),
  'a confirm of a message that was never sent': ({ producing: { client, channel } }) =>
    client.send(channel, 'basic.ack', { deliveryTag: 300_000_000, multiple: false }),
  'a confirm of all future messages': ({ producing: { client, channel } }) =>
    client.send(channel, 'basic.ack', { deliveryTag: HUGE, multiple: true }),
  'a nack of a message that was never sent': ({ producing: { client, channel } }) =>
    client.send(channel, 'basic.nack', { deliveryTag: 400_000_000, multiple: false, requeue: false }),
  'a confirm with delivery tag 0': ({ producing: { client, channel } }) =>
    client.send(channel, 'basic.ack', { deliveryTag: 0, multiple: false }),
  'a return of a message that was never sent': ({ producing: { client, channel } }) =>
    client.sendReturn({
      channel,
      tag: 1,
      exchange: 'x',
      routingKey: '',
      mandatory: true,
      properties: {},
      body: Buffer.from('x'),
    }),
};

/** Violations that never end: each call sends a little more. */
export const FLOODS: Readonly<Record<string, Violation>> = {
  'a frame of 4 GiB': ({ consuming: { client, channel } }) => client.write(rawFrame(3, channel, A_MIB, 0xffff_fff0)),
  'a message without end': ({ consuming }) => {
    if (started(consuming)) announce(consuming, HUGE);
    for (let i = 0; i < 8; i += 1) consuming.client.write(rawFrame(3, consuming.channel, A_MIB));
  },
  'a message in empty frames': ({ consuming }) => {
    if (started(consuming)) announce(consuming, 10);
    const empty = rawFrame(3, consuming.channel, Buffer.alloc(0));
    consuming.client.write(Buffer.concat(Array<Buffer>(20_000).fill(empty)));
  },
  'deliveries beyond the prefetch': ({ consuming: { client, channel, tag } }) => {
    for (let i = 0; i < 8; i += 1) client.deliver(channel, tag, (delivered += 1), A_MIB);
  },
};
let delivered = 1_000;

const flooded = new WeakSet<FakeClient>();
/** True at the first call for a connection. */
function started({ client }: Target): boolean {
  const first = !flooded.has(client);
  flooded.add(client);
  return first;
}
