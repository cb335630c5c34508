/** Years, months, days, hours, minutes, seconds. */
export type IntervalUnit = 'Y' | 'M' | 'D' | 'h' | 'm' | 's';

/** A span of time as RabbitMQ writes it for streams: a whole number and a unit, such as `'7D'`. */
export type Interval = `${number}${IntervalUnit}`;

const SECOND = 1000;
const DAY = 24 * 3600 * SECOND;
/** ms, as RabbitMQ counts them. https://www.rabbitmq.com/docs/streams#declaring */
const UNITS: Readonly<Record<IntervalUnit, number>> = {
  Y: 365 * DAY,
  M: 30 * DAY,
  D: DAY,
  h: 3600 * SECOND,
  m: 60 * SECOND,
  s: SECOND,
};
const INTERVAL = /^([1-9]\d{0,8})([YMDhms])$/;

/** The interval in ms; undefined for any other value. */
export function intervalOf(value: unknown): number | undefined {
  const [, count, unit] = (typeof value === 'string' ? INTERVAL.exec(value) : undefined) ?? [];
  return count !== undefined && isUnit(unit) ? Number(count) * UNITS[unit] : undefined;
}

const isUnit = (unit: string | undefined): unit is IntervalUnit => unit !== undefined && Object.hasOwn(UNITS, unit);
