import { join } from 'node:path';

/** The clients by name: the program, and its arguments after the URL. */
const PROGRAMS = {
  limit: ['limit'],
  amqplib: ['amqplib'],
  'amqplib with noDelay': ['amqplib', 'no-delay'],
  'instance-queue': ['ours'],
  'instance-queue, wire: false': ['ours', 'no-wire'],
  '@cloudamqp/amqp-client': ['cloudamqp'],
  'rabbitmq-client': ['rabbitmq-client'],
  'amqp-connection-manager': ['connection-manager'],
  rascal: ['rascal'],
} satisfies Record<string, readonly [file: string, ...flags: string[]]>;

export type ClientName = keyof typeof PROGRAMS;
export const CLIENT_NAMES = Object.keys(PROGRAMS) as ClientName[];
export const isClientName = (name: string): name is ClientName => Object.hasOwn(PROGRAMS, name);

export function programOf(client: ClientName): { readonly file: string; readonly flags: readonly string[] } {
  const [file = '', ...flags] = PROGRAMS[client];
  return { file: join(__dirname, `${file}.ts`), flags };
}
