import { OptionsError } from '../../errors';
import { FILTER_VALUE, filterValue } from '../../filter-value';
import { boolean, checkOptions, expected, func, isObject, list, type Check, type Shape } from '../../options';
import type { Arguments } from '../../properties';
import type { InboundMessage } from '../../transport/transport';
import { ArrivedMessage } from '../channel-delivery';
import type { Message } from '../delivery';

/** Which messages of a stream a consumer gets. https://www.rabbitmq.com/docs/stream-filtering */
export interface StreamFilter {
  /** Messages that were published with one of these (`streamFilter` of `send`). */
  readonly values: readonly string[];
  /** Messages that were published without a value as well. @default false */
  readonly matchUnfiltered?: boolean;
  /**
   * Decides about each message that the broker sends, before its body is decoded: RabbitMQ filters whole chunks, and its Bloom
   * filter lets some pass that hold no such message. Needed only where the value is not in the message's
   * `x-stream-filter-value` header, because the publisher spoke another protocol. When it throws, the message counts as
   * undecodable. @default compares that header
   */
  readonly matches?: (message: Message<Buffer>) => boolean;
}

/** Does the message pass? */
export type FilterMatch = (message: InboundMessage, queue: string) => boolean;

const FILTER = 'x-stream-filter';
const UNFILTERED = 'x-stream-match-unfiltered';

const FILTER_OPTIONS: Shape<StreamFilter> = { values: list, matchUnfiltered: boolean, matches: func };

/** The check of the option `filter`; `resolveFilter` looks inside. */
export const streamFilter: Check = (value) =>
  filterValue(value) === undefined || Array.isArray(value) || isObject(value)
    ? undefined
    : 'a filter value, a list of them, or an object with `values`';

/** `Array.isArray` does not narrow readonly arrays. */
const isList = (filter: readonly string[] | StreamFilter): filter is readonly string[] => Array.isArray(filter);

/** What the broker is asked for, and what decides here. @throws OptionsError */
export function resolveFilter(
  filter: string | readonly string[] | StreamFilter,
  args: Arguments,
): { readonly arguments: Arguments; readonly match: FilterMatch } {
  for (const name of [FILTER, UNFILTERED]) {
    if (args[name] === undefined) continue;
    const message = `Expected the filter once: either \`filter\` or \`${name}\` in \`arguments\`, got both.`;
    throw new OptionsError('arguments', message);
  }
  const given: StreamFilter =
    typeof filter === 'string' ? { values: [filter] } : isList(filter) ? { values: filter } : filter;
  checkOptions<StreamFilter>(given, FILTER_OPTIONS, { of: 'a stream filter', path: 'filter.', required: ['values'] });
  const { values, matchUnfiltered = false, matches } = given;
  if (values.length === 0) throw expected('filter.values', 'at least one filter value', values);
  values.forEach((value, i) => {
    const wrong = filterValue(value);
    if (wrong !== undefined) throw expected(`filter.values[${String(i)}]`, wrong, value);
  });
  const wanted = new Set<unknown>(values);
  return {
    arguments: { ...args, [FILTER]: [...values], [UNFILTERED]: matchUnfiltered },
    match: matches
      ? (message, queue) => matches(new ArrivedMessage(message, queue, message.content))
      : ({ headers }) => {
          const value = headers?.[FILTER_VALUE];
          return value === undefined ? matchUnfiltered : wanted.has(value);
        },
  };
}
