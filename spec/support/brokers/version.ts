import type { Broker } from '../../../compose/broker';

/** Whether this is RabbitMQ `wanted` or later. Where versions differ, a law states what each of them does. */
export function isAtLeast({ version }: Pick<Broker, 'version'>, wanted: string): boolean {
  const [given, least] = [numbers(version), numbers(wanted)];
  const differs = least.findIndex((number, i) => number !== given[i]);
  return differs < 0 || (given[differs] ?? 0) > (least[differs] ?? 0);
}

const numbers = (version: string): number[] => version.split('.').map((part) => Number.parseInt(part, 10));
