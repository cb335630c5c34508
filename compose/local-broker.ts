import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { awaitAmqp } from './amqp-answer';
import type { LocalHandle } from './broker-handle';
import type { BrokerHost, StartedHost } from './broker-host';
import {
  killNode,
  launchNode,
  logOf,
  logTail,
  nodeCtl,
  nodeRuns,
  prepareNode,
  removeNodes,
  type Extras,
  type LocalNode,
} from './local-node';
import { freePort, isFree } from './ports';
import { postWarden } from './post-warden';

/** A loaded machine with two cores starts RabbitMQ in some 5 to 20 s. */
const START_LIMIT = 90_000;

/** A private node in a temporary folder, with its own ports, cookie, epmd and home, beside any other broker. */
export async function startLocal(
  programs: string,
  wished?: number,
  extras?: Extras,
): Promise<StartedHost<LocalHandle>> {
  const port = wished !== undefined && (await isFree(wished)) ? wished : await freePort();
  const node = await newNode(programs, port, await freePort());
  const warden = postWarden({ how: 'local', nodes: [node] });
  const url = `amqp://guest:guest@127.0.0.1:${port}/`;
  try {
    prepareNode(node, undefined, extras);
    const version = await launch(node, url);
    const host = localHost({ node, url });
    return {
      handle: { how: 'local', url, version, node },
      host: {
        ...host,
        async remove() {
          await host.remove();
          await warden.dismiss();
        },
      },
    };
  } catch (error) {
    await removeNodes([node]).catch(() => undefined);
    await warden.dismiss();
    rmSync(node.folder, { recursive: true, force: true });
    throw error;
  }
}

/** A node that is still nothing but a folder, ports and a name. */
export async function newNode(programs: string, port: number, epmdPort: number): Promise<LocalNode> {
  const distPort = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-broker-'));
  const id = basename(folder).split('-').pop()?.toLowerCase() ?? 'broker';
  return { programs, folder, name: `iq-${id}@localhost`, port, distPort, epmdPort };
}

export function localHost({ node, url }: Pick<LocalHandle, 'node' | 'url'>): BrokerHost {
  return {
    ctl: (args) => nodeCtl(node, args),
    kill: () => killNode(node),
    async start() {
      await launch(node, url);
    },
    remove: () => removeNodes([node]),
  };
}

async function launch(node: LocalNode, url: string): Promise<string> {
  // A second server over the first one's data would end at once, and take the pid file with it.
  const ended = nodeRuns(node) ? undefined : launchNode(node).ended;
  try {
    const { version } = await awaitAmqp(url, START_LIMIT, ended);
    return version;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`RabbitMQ did not start: ${reason}\nThe end of its log, ${logOf(node)}:\n${logTail(node)}`, {
      cause: error,
    });
  }
}
