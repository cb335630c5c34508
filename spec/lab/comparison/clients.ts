/** The clients of the comparison, by the names of `--clients`. */
export const CLIENTS = {
  ours: { title: 'instance-queue', program: 'ours.ts' },
  'amqp-connection-manager': { title: 'amqp-connection-manager 5', program: 'amqp-connection-manager.ts' },
  'rabbitmq-client': { title: 'rabbitmq-client 5', program: 'rabbitmq-client.ts' },
  cloudamqp: { title: '@cloudamqp/amqp-client 4 (session)', program: 'cloudamqp.ts' },
  rascal: { title: 'rascal 21', program: 'rascal.ts' },
} as const satisfies Record<string, { readonly title: string; readonly program: string }>;

export type ClientName = keyof typeof CLIENTS;
