import { shortString, type Check } from './options';

/** The header that marks a message of a stream for consumers with a filter. https://www.rabbitmq.com/docs/stream-filtering */
export const FILTER_VALUE = 'x-stream-filter-value';

const text = shortString();
/** The check of its value: the broker takes an empty one for none. */
export const filterValue: Check = (value) =>
  value === '' || text(value) !== undefined ? 'a string of 1 to 255 bytes of UTF-8' : undefined;
