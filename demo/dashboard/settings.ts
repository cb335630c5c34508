import { parseArgs } from 'node:util';

export interface DashboardSettings {
  /** Of the page; 0: any. */
  readonly port: number;
  /** A broker of our own, also if `AMQP_URL` names one. */
  readonly own: boolean;
}

/** By flag or by environment. Throws a sentence. */
export function dashboardSettings(): DashboardSettings {
  const { values } = parseArgs({ options: { port: { type: 'string' }, own: { type: 'boolean', default: false } } });
  const given = values.port ?? process.env['DASHBOARD_PORT'] ?? '8090';
  const port = Number(given);
  if (given.trim() === '' || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`Expected the port to be an integer from 0 to 65535, got \`${given}\`.`);
  return { port, own: values.own };
}
