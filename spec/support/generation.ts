import type { Broker } from '../../compose/broker';

/** Is this broker of RabbitMQ `version` or later? Where generations differ, a law says what each of them does. */
export function since({ version }: Pick<Broker, 'version'>, wanted: string): boolean {
  const [given, least] = [numbers(version), numbers(wanted)];
  const differs = least.findIndex((number, i) => number !== given[i]);
  return differs < 0 || (given[differs] ?? 0) > (least[differs] ?? 0);
}

const numbers = (version: string): number[] => version.split('.').map((part) => Number.parseInt(part, 10));
