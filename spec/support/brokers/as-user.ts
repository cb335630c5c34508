import type { Broker } from '../../../compose/broker';

/** A user of the virtual host '/', for a while. The permissions are regular expressions. */
export interface TemporaryUser {
  readonly name: string;
  /** @default 'secret' */
  readonly password?: string;
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/** Calls `use` with the URL of a user who exists until it has settled. */
export async function asUser(
  broker: Pick<Broker, 'ctl' | 'url'>,
  { name, password = 'secret', configure, write, read }: TemporaryUser,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const target = new URL(broker.url);
  target.username = name;
  target.password = password;
  await broker.ctl('add_user', name, password);
  try {
    await broker.ctl('set_permissions', name, configure, write, read);
    await use(target.href);
  } finally {
    await broker.ctl('delete_user', name);
  }
}
