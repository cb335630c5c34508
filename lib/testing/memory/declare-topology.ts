import { withBindings } from '../../contract';
import type { BindingSpec, ExchangeSpec, QueueSpec, Topology } from '../../topology';
import { exchangeArguments, queueArguments } from '../../topology-arguments';
import type { Binding } from './exchange';
import type { Vhost } from './vhost';

/** Declares exchanges, queues, then bindings, for a connection. Returns the name of `own`, which '' in a binding means. */
export function declareTopology(
  vhost: Vhost,
  topology: Topology,
  own: QueueSpec | undefined,
  connection: object,
): string | undefined {
  const { exchanges = [], queues = [], bindings = [] } = withBindings(topology, own);
  for (const spec of exchanges) declareExchange(vhost, spec);
  for (const spec of queues) if (spec !== own) declareQueue(vhost, spec, connection);
  const name = own && declareQueue(vhost, own, connection);
  for (const spec of bindings) vhost.bind(spec.exchange, bindingOf(spec, name), connection);
  return name;
}

function declareExchange(vhost: Vhost, spec: ExchangeSpec): void {
  if (spec.passive) vhost.exchange(spec.name);
  else vhost.declareExchange(spec.name, exchangeArguments(spec));
}

function declareQueue(vhost: Vhost, spec: QueueSpec, connection: object): string {
  const { passive, name } = spec;
  const queue = passive ? vhost.lookFor(name, connection) : vhost.declareQueue(name, queueArguments(spec), connection);
  return queue.name;
}

/** `own`: the queue that '' means. */
export function bindingOf(spec: BindingSpec, own = ''): Binding {
  const { queue, toExchange, routingKey = '', arguments: args = {} } = spec;
  const to = toExchange === undefined ? { queue: queue === '' ? own : queue } : { exchange: toExchange };
  return { to, routingKey, arguments: args };
}
