import type { Arguments } from '../../../lib/properties';
import type { Binding } from '../../../lib/testing/memory/exchange';
import { Refusal } from '../../../lib/testing/memory/refusal';
import type { Vhost } from '../../../lib/testing/memory/vhost';
import type { Fields } from '../../support/frames/methods';

export function text(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}
export const flag = (fields: Fields, name: string): boolean => fields[name] === true;
export const table = (fields: Fields): Arguments => (fields['arguments'] ?? {}) as Arguments;

/** The methods of one channel that declare, bind, purge and delete. */
export class ServerTopology {
  readonly #vhost: Vhost;
  readonly #connection: object;
  /** The queue that was declared last: an empty name means it. */
  #queue = '';

  constructor(vhost: Vhost, connection: object) {
    this.#vhost = vhost;
    this.#connection = connection;
  }

  /** Carries out a method of the classes queue and exchange; returns what the answer says. */
  answer(name: string, fields: Fields): Fields {
    const connection = this.#connection;
    const [queue, exchange] = [this.#named(fields), text(fields, 'exchange')];
    const conditions = { ifUnused: flag(fields, 'ifUnused'), ifEmpty: flag(fields, 'ifEmpty') };
    let answer: Fields = {};
    switch (name) {
      case 'queue.declare':
        answer = this.#declareQueue(fields);
        break;
      case 'queue.bind':
        this.#vhost.bind(exchange, this.#binding(fields, { queue }), connection);
        break;
      case 'queue.unbind':
        this.#vhost.unbind(exchange, this.#binding(fields, { queue }), connection);
        break;
      case 'queue.purge': {
        const purged = this.#vhost.queue(queue, connection);
        purged.checkPurge();
        answer = { messageCount: purged.purge() };
        break;
      }
      case 'queue.delete':
        answer = { messageCount: this.#vhost.deleteQueue(queue, connection, conditions) };
        break;
      case 'exchange.declare':
        if (flag(fields, 'passive')) this.#vhost.exchange(exchange);
        else {
          const [durable, autoDelete, internal] = [
            flag(fields, 'durable'),
            flag(fields, 'autoDelete'),
            flag(fields, 'internal'),
          ];
          const declaration = { type: text(fields, 'type'), durable, autoDelete, internal, arguments: table(fields) };
          this.#vhost.declareExchange(exchange, declaration);
        }
        break;
      case 'exchange.delete':
        this.#vhost.deleteExchange(exchange, conditions);
        break;
      case 'exchange.bind':
      case 'exchange.unbind': {
        const binding = this.#binding(fields, { exchange: text(fields, 'destination') });
        if (name === 'exchange.bind') this.#vhost.bind(text(fields, 'source'), binding, connection);
        else this.#vhost.unbind(text(fields, 'source'), binding, connection);
        break;
      }
      default:
        throw new Refusal(540, name);
    }
    return answer;
  }

  #declareQueue(fields: Fields): Fields {
    const name = text(fields, 'queue');
    const [durable, autoDelete, exclusive] = [
      flag(fields, 'durable'),
      flag(fields, 'autoDelete'),
      flag(fields, 'exclusive'),
    ];
    const queue = flag(fields, 'passive')
      ? this.#vhost.lookFor(name, this.#connection)
      : this.#vhost.declareQueue(name, { durable, exclusive, autoDelete, arguments: table(fields) }, this.#connection);
    this.#queue = queue.name;
    return { queue: queue.name, messageCount: queue.ready.length, consumerCount: queue.consumers.length };
  }

  /** An empty name is that of the queue that was declared last on the channel. */
  #named(fields: Fields): string {
    const name = text(fields, 'queue');
    return name === '' ? this.#queue : name;
  }

  #binding(fields: Fields, to: Binding['to']): Binding {
    return { to, routingKey: text(fields, 'routingKey'), arguments: table(fields) };
  }
}
