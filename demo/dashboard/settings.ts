import { parseArgs } from 'node:util';

export interface DashboardSettings {
  /** The port of the page; 0: any. */
  readonly port: number;
  /** Starts a private broker, even if `AMQP_URL` is set. */
  readonly own: boolean;
}

/** From flags or the environment. Throws an error for the user. */
export function dashboardSettings(): DashboardSettings {
  const { values } = parseArgs({ options: { port: { type: 'string' }, own: { type: 'boolean', default: false } } });
  const given = values.port ?? process.env['DASHBOARD_PORT'] ?? '8090';
  const port = Number(given);
  if (given.trim() === '' || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`Expected the port to be an integer from 0 to 65535, got \`${given}\`.`);
  return { port, own: values.own };
}
