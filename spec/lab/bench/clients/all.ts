import { createRequire } from 'node:module';

interface Program {
  /** `<name>.program.ts` */
  readonly name: string;
  /** Arguments after the URL. */
  readonly flags?: readonly string[];
  /** The package of the client; this library is always there. */
  readonly needs?: string;
}

const PROGRAMS = {
  limit: { name: 'limit', needs: 'amqplib' },
  'limit, same properties': { name: 'limit', flags: ['same-properties'], needs: 'amqplib' },
  amqplib: { name: 'amqplib', needs: 'amqplib' },
  'amqplib with noDelay': { name: 'amqplib', flags: ['no-delay'], needs: 'amqplib' },
  'instance-queue': { name: 'ours' },
  'instance-queue, wire: false': { name: 'ours', flags: ['no-wire'] },
  '@cloudamqp/amqp-client': { name: 'cloudamqp', needs: '@cloudamqp/amqp-client' },
  'rabbitmq-client': { name: 'rabbitmq-client', needs: 'rabbitmq-client' },
  'amqp-connection-manager': { name: 'connection-manager', needs: 'amqp-connection-manager' },
  rascal: { name: 'rascal', needs: 'rascal' },
} satisfies Record<string, Program>;

export type ClientName = keyof typeof PROGRAMS;
export const CLIENT_NAMES = Object.keys(PROGRAMS) as ClientName[];
export const isClientName = (name: string): name is ClientName => Object.hasOwn(PROGRAMS, name);

export const programOf = (client: ClientName): Program => PROGRAMS[client];

/** The clients of `--clients`, separated by commas, which two of the names hold as well. @throws Error with the names it knows */
export function clientsOf(flag: string | undefined): readonly ClientName[] {
  if (flag === undefined) return CLIENT_NAMES;
  const names = flag.split(/,(?! wire| same)/).map((name) => name.trim());
  const unknown = names.filter((name) => !isClientName(name));
  if (unknown.length > 0)
    throw new Error(`Expected \`--clients\` from: ${CLIENT_NAMES.join('; ')}. Got: ${unknown.join('; ')}.`);
  return names.filter(isClientName);
}

/** The package that this client lacks here; undefined: it can run. */
export function missingPackage(client: ClientName): string | undefined {
  const { needs } = programOf(client);
  if (needs === undefined) return undefined;
  try {
    createRequire(__filename).resolve(needs);
    return undefined;
  } catch (error) {
    // Another error tells of a package that is there, but only for `import`.
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return code === 'MODULE_NOT_FOUND' ? needs : undefined;
  }
}
