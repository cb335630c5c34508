import type { Random } from '../../../lib/testing/simulation/random';
import { BrokerChannel } from '../../../lib/testing/memory/broker-channel';
import type { TransportHost } from '../../../lib/testing/memory/memory-transport';
import { Refusal } from '../../../lib/testing/memory/refusal';
import { stored } from '../../../lib/testing/memory/stored-message';
import { REPLY_TO, type Vhost } from '../../../lib/testing/memory/vhost';
import type { InboundMessage, Settlement } from '../../../lib/transport/transport';
import { fromAmqp, toAmqp } from '../../../lib/amqp/amqp-properties';
import { fieldsOf, type Frame } from '../../support/frames/frames';
import { decodeProperties, type Fields } from '../../support/frames/methods';
import { flag, ServerTopology, table, text } from './server-topology';

/** The connection that a channel is on. */
export interface ServerConnection {
  readonly host: TransportHost;
  after(ms: number, task: () => void): void;
  send(channel: number, name: string, fields: Fields): void;
  sendContent(channel: number, name: string, fields: Fields, properties: Fields, body: Buffer): void;
  /** The channel is closed, and its number free. */
  forget(channel: number): void;
  /** The broker closes the connection. */
  refuse(refusal: Refusal): void;
}

interface Content {
  readonly method: Fields;
  size: number | undefined;
  properties: Fields;
  readonly pieces: Buffer[];
}

/** A confirm that is not sent yet; further ones of its kind grow it. */
interface Confirm {
  readonly kind: 'ack' | 'nack';
  number: number;
  multiple: boolean;
}

/** ms that a confirm is kept at most. */
const LATE = 40;

/** The codec has no types; what reads the properties checks each. */
const fromCodec = (properties: Fields): Parameters<typeof fromAmqp>[0] =>
  properties as Parameters<typeof fromAmqp>[0] & Fields;

/** One channel as a server of AMQP 0-9-1 serves it. */
export class ServerChannel {
  readonly #connection: ServerConnection;
  readonly #number: number;
  readonly #random: Random;
  readonly #late: number;
  readonly #vhost: Vhost;
  readonly #channel: BrokerChannel;
  readonly #topology: ServerTopology;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #content: Content | undefined;
  #prefetch = 0;
  #confirming = false;
  #published = 0;
  readonly #confirms: Confirm[] = [];
  #keeping = false;

  constructor(connection: ServerConnection, number: number, random: Random, late: number) {
    this.#connection = connection;
    this.#number = number;
    this.#random = random;
    this.#late = late;
    this.#vhost = connection.host.vhost;
    this.#topology = new ServerTopology(this.#vhost, connection);
    this.#channel = new BrokerChannel(this.#vhost, connection, {
      deliver: (consumerTag, message) => {
        const { deliveryTag, redelivered, exchange, routingKey } = message;
        this.#sendMessage('basic.deliver', { consumerTag, deliveryTag, redelivered, exchange, routingKey }, message);
      },
      cancelled: (consumerTag) => {
        if (this.open) this.#send('basic.cancel', { consumerTag, nowait: true });
      },
    });
  }

  get open(): boolean {
    return this.#state === 'open';
  }
  get busy(): boolean {
    return this.#confirms.length > 0;
  }

  take(frame: Frame): void {
    if (this.#state === 'closing') this.#takeWhileClosing(frame);
    else
      try {
        if (frame.type === 'method') this.#method(frame);
        else this.#addContent(frame);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.#vhost.observer.refused?.(error);
        if (error.closesConnection) this.#connection.refuse(error);
        else this.refuse(error);
      }
  }

  /** The broker closes the channel. */
  refuse(refusal: Refusal): void {
    this.#state = 'closing';
    this.end();
    const { replyCode, text: replyText } = refusal;
    this.#send('channel.close', { replyCode, replyText, classId: 0, methodId: 0 });
  }

  stop(): void {
    this.#channel.stop();
  }
  end(): void {
    this.#confirms.length = 0;
    this.#channel.end();
  }

  /** Sends what was confirmed since the last read, in as few frames as it takes, or keeps it for a while. */
  flushConfirms(): void {
    if (this.#confirms.length === 0 || this.#keeping) return;
    if (this.#late > 0 && this.#random.integer(1, 100) <= this.#late) {
      this.#keeping = true;
      this.#connection.after(this.#random.integer(1, LATE), () => {
        this.#keeping = false;
        this.sendConfirms();
      });
    } else this.sendConfirms();
  }

  /** Sends all that is confirmed. */
  sendConfirms(): void {
    for (const { kind, number, multiple } of this.#confirms.splice(0)) {
      this.#send(`basic.${kind}`, { deliveryTag: number, multiple, requeue: false });
    }
  }

  #send(name: string, fields: Fields = {}): void {
    this.#connection.send(this.#number, name, fields);
  }

  #sendMessage(name: string, fields: Fields, { properties, content }: Pick<InboundMessage, 'properties' | 'content'>) {
    const given = toAmqp({ ...properties, persistent: true, mandatory: false }) as Fields;
    this.#connection.sendContent(this.#number, name, fields, { ...given, deliveryMode: 2 }, content);
  }

  #takeWhileClosing({ name }: Frame): void {
    if (name === 'channel.close') this.#send('channel.close-ok');
    if (name === 'channel.close-ok') {
      this.#state = 'closed';
      this.#connection.forget(this.#number);
    }
  }

  // ── messages of the client ──

  #addContent({ type, name, payload }: Frame): void {
    const content = this.#content;
    if (!content || (content.size === undefined) !== (type === 'header')) {
      throw new Refusal(505, `a ${name} frame that is not expected`);
    }
    if (type === 'header') {
      content.size = Number(payload.readBigUInt64BE(4));
      content.properties = decodeProperties(payload);
    } else content.pieces.push(Buffer.from(payload));
    const body = Buffer.concat(content.pieces);
    const { size = 0 } = content;
    if (body.length > size) throw new Refusal(501, `${String(body.length)} bytes of a body of ${String(size)}`);
    if (body.length < size) return;
    this.#content = undefined;
    this.#publish(content, body);
  }

  #publish({ method, properties }: Content, body: Buffer): void {
    const [exchange, routingKey] = [text(method, 'exchange'), text(method, 'routingKey')];
    const given = fromAmqp(fromCodec(properties));
    const message = stored(exchange, routingKey, body, given, properties['deliveryMode'] === 2);
    const number = ++this.#published;
    const outcome = this.#connection.host.publish(this.#channel.addressed(message), flag(method, 'mandatory'));
    if (outcome === 'returned') {
      const fields = { replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey };
      this.#sendMessage('basic.return', fields, message);
    }
    if (this.#confirming) this.#confirm(outcome === 'full' ? 'nack' : 'ack', number);
  }

  #confirm(kind: Confirm['kind'], number: number): void {
    const last = this.#confirms.at(-1);
    if (last?.kind === kind) {
      last.number = number;
      // With those before it, all of which are confirmed in the same way or were earlier.
      last.multiple = true;
    } else this.#confirms.push({ kind, number, multiple: false });
  }

  // ── methods ──

  #method(frame: Frame): void {
    const fields = fieldsOf(frame);
    const { name } = frame;
    if (this.#content) throw new Refusal(505, `${name} within a message`);
    switch (name) {
      case 'basic.publish':
        this.#content = { method: fields, size: undefined, properties: {}, pieces: [] };
        break;
      case 'basic.ack':
        this.#settle(fields, 'ack');
        break;
      case 'basic.nack':
        this.#settle(fields, flag(fields, 'requeue') ? 'release' : 'reject');
        break;
      case 'basic.reject':
        this.#settle(fields, flag(fields, 'requeue') ? 'requeue' : 'reject');
        break;
      case 'basic.qos':
        if (flag(fields, 'global')) this.#channel.limit();
        else this.#prefetch = Number(fields['prefetchCount']);
        this.#send('basic.qos-ok');
        break;
      case 'basic.consume':
        this.#consume(fields);
        break;
      case 'basic.cancel':
        this.#channel.cancel(text(fields, 'consumerTag'));
        this.#send('basic.cancel-ok', { consumerTag: text(fields, 'consumerTag') });
        break;
      case 'basic.get':
        this.#get(fields);
        break;
      case 'confirm.select':
        this.#confirming = true;
        this.#send('confirm.select-ok');
        break;
      case 'channel.close':
        this.end();
        this.#state = 'closed';
        this.#send('channel.close-ok');
        this.#connection.forget(this.#number);
        break;
      default:
        this.#send(`${name}-ok`, this.#topology.answer(name, fields));
    }
  }

  #settle(fields: Fields, how: Settlement): void {
    this.#channel.settle(Number(fields['deliveryTag']), how, flag(fields, 'multiple'));
  }

  #consume(fields: Fields): void {
    const [queue, consumerTag] = [text(fields, 'queue'), text(fields, 'consumerTag')];
    if (queue === REPLY_TO) {
      this.#channel.consumeReplies(consumerTag);
      this.#send('basic.consume-ok', { consumerTag });
      return;
    }
    const [noAck, exclusive] = [flag(fields, 'noAck'), flag(fields, 'exclusive')];
    const options = { noAck, exclusive, prefetch: this.#prefetch, arguments: table(fields) };
    const begin = this.#channel.consume(queue, consumerTag, options);
    this.#send('basic.consume-ok', { consumerTag });
    begin();
  }

  #get(fields: Fields): void {
    const queue = text(fields, 'queue');
    const message = this.#channel.get(queue);
    if (!message) {
      this.#send('basic.get-empty', { clusterId: '' });
      return;
    }
    const { deliveryTag, redelivered, exchange, routingKey } = message;
    const messageCount = this.#vhost.find(queue)?.ready.length ?? 0;
    this.#sendMessage('basic.get-ok', { deliveryTag, redelivered, exchange, routingKey, messageCount }, message);
  }
}
