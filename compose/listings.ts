/**
 * What `rabbitmqctl list_…` would say, asked by `rabbitmqctl eval`: with `connection_name`, with pids in the form that the
 * broker takes back, and joined in one call, since a call of `rabbitmqctl` costs about a second. The same on RabbitMQ 3.10 to 4.3.
 * No `$` and no backtick in an expression: the wrapper of Debian hands its arguments through a shell.
 */
export interface ConnectionRow {
  /** The client's `connection_name`; empty if it gave none, or has not said who it is yet. */
  readonly name: string;
  readonly pid: string;
  readonly user: string;
  readonly state: string;
  readonly channels: number;
}

export interface ChannelRow {
  readonly pid: string;
  readonly number: number;
  /** The `connection_name` of its connection. */
  readonly connection: string;
  readonly confirm: boolean;
  readonly consumers: number;
  readonly prefetch: number;
  readonly unacknowledged: number;
  readonly unconfirmed: number;
}

export interface QueueRow {
  readonly name: string;
  readonly durable: boolean;
  readonly messages: number;
  readonly ready: number;
  readonly unacknowledged: number;
  readonly consumers: number;
}

export interface ConsumerRow {
  readonly queue: string;
  readonly tag: string;
  /** The `connection_name` of its connection. */
  readonly connection: string;
  readonly prefetch: number;
  readonly ack: boolean;
  readonly active: boolean;
}

const HELPERS = `
  Text = fun(Pid) -> list_to_binary(rabbit_misc:pid_to_string(Pid)) end,
  NameOf = fun
    (Properties) when is_list(Properties) ->
      case lists:keyfind(<<"connection_name">>, 1, Properties) of {_, _, Name} -> Name; false -> <<>> end;
    (_) -> <<>> end,
  Connections = [{Pid, User, State, Channels, NameOf(Properties)} ||
    [{pid, Pid}, {user, User}, {state, State}, {channels, Channels}, {client_properties, Properties}] <-
      rabbit_networking:connection_info_all([pid, user, state, channels, client_properties])]`;

const CHANNELS = `
  Names = maps:from_list([{Pid, Name} || {Pid, _, _, _, Name} <- Connections]),
  Channels = rabbit_channel:info_all([pid, connection, number, confirm, consumer_count, prefetch_count,
    messages_unacknowledged, messages_unconfirmed])`;

export const CONNECTIONS_EXPRESSION = expression(
  HELPERS,
  `[#{pid => Text(Pid), user => User, state => State, channels => Channels, name => Name} ||
    {Pid, User, State, Channels, Name} <- Connections]`,
);

export const CHANNELS_EXPRESSION = expression(
  HELPERS,
  CHANNELS,
  `[#{pid => Text(Pid), number => Number, connection => maps:get(Connection, Names, <<>>), confirm => Confirm,
      consumers => Consumers, prefetch => Prefetch, unacknowledged => Unacked, unconfirmed => Unconfirmed} ||
    [{pid, Pid}, {connection, Connection}, {number, Number}, {confirm, Confirm}, {consumer_count, Consumers},
     {prefetch_count, Prefetch}, {messages_unacknowledged, Unacked}, {messages_unconfirmed, Unconfirmed}] <- Channels]`,
);

export function consumersExpression(vhost: string): string {
  return expression(
    HELPERS,
    CHANNELS,
    `Owners = maps:from_list([{Pid, maps:get(Connection, Names, <<>>)} || [{pid, Pid}, {connection, Connection} | _] <- Channels])`,
    `[#{queue => element(4, proplists:get_value(queue_name, Row)), tag => proplists:get_value(consumer_tag, Row),
        connection => maps:get(proplists:get_value(channel_pid, Row), Owners, <<>>),
        prefetch => proplists:get_value(prefetch_count, Row), ack => proplists:get_value(ack_required, Row),
        active => proplists:get_value(active, Row, true)} ||
      Row <- rabbit_amqqueue:consumers_all(${binary(vhost)})]`,
  );
}

export function queuesExpression(vhost: string): string {
  return expression(
    `[#{name => element(4, Name), durable => Durable, messages => Messages, ready => Ready, unacknowledged => Unacked,
        consumers => Consumers} ||
      [{name, Name}, {durable, Durable}, {messages, Messages}, {messages_ready, Ready}, {messages_unacknowledged, Unacked},
       {consumers, Consumers}] <- rabbit_amqqueue:info_all(${binary(vhost)},
         [name, durable, messages, messages_ready, messages_unacknowledged, consumers])]`,
  );
}

/** Closes what matches, and gives the names of all that were there and how many of them it closed. */
export function closeConnectionExpression(nameOrPid: string, reason: string): string {
  return expression(
    HELPERS,
    `Wanted = ${binary(nameOrPid)}`,
    `Hits = [Pid || {Pid, _, _, _, Name} <- Connections, (Name =:= Wanted) orelse (Text(Pid) =:= Wanted)]`,
    `[rabbit_networking:close_connection(Pid, ${binary(reason)}) || Pid <- Hits]`,
    `#{closed => length(Hits), names => [Name || {_, _, _, _, Name} <- Connections]}`,
  );
}

/** All memory counts as too much, as after `rabbitmqctl set_vm_memory_high_watermark 0`. */
export const NO_MEMORY_EXPRESSION = expression('vm_memory_monitor:set_vm_memory_high_watermark(0.0)');

/** Back to the value of the configuration, which setting it at run time does not change. */
export const USUAL_WATERMARK_EXPRESSION = expression(
  `{ok, Usual} = application:get_env(rabbit, vm_memory_high_watermark)`,
  `vm_memory_monitor:set_vm_memory_high_watermark(Usual)`,
);

function expression(...parts: readonly string[]): string {
  return `${parts.map((part) => part.trim().replace(/\s+/g, ' ')).join(', ')}.`;
}

/** As bytes, so that no quoting on the way can change it. */
function binary(text: string): string {
  return `<<${[...Buffer.from(text)].join(',')}>>`;
}
