import { randomBytes } from 'node:crypto';
import type { ContainerRuntimeClient, WaitStrategy } from 'testcontainers';
import { awaitAmqp } from './amqp-answer';
import type { DockerHandle } from './broker-handle';
import type { BrokerHost, StartedHost } from './broker-host';
import { containerCtl, containerLog, killContainer, removeContainer, startContainer } from './docker-container';
import { findEngine, firstLine, prepareReaper, testcontainers, whyNoImage } from './docker-engine';
import { enabledPlugins, type Extras } from './local-node';
import { freePort, isFree, isOwnAddress } from './ports';
import { postWarden } from './post-warden';

const DEFAULT_IMAGE = 'rabbitmq:4-management';
const AMQP_PORT = 5672;
const START_LIMIT = 120_000;

/** A broker in a container, by Testcontainers. Resolves to nothing, having said why, if there can't be one here. */
export async function startDocker(
  wished: number | undefined,
  say: (line: string) => void,
  extras: Extras = {},
): Promise<StartedHost<DockerHandle> | undefined> {
  const engine = await findEngine();
  if (engine === undefined) {
    say('No Docker engine can be reached');
    return undefined;
  }
  const image = process.env.RABBITMQ_IMAGE || DEFAULT_IMAGE;
  const why = await whyNoImage(engine, image, say);
  if (why !== undefined) {
    say(`A Docker engine runs, but the image ${image} can't be had: ${why}`);
    return undefined;
  }
  await prepareReaper(engine, say);
  say(`Starting a container of ${image}`);
  try {
    const port = wished !== undefined && (await isFree(wished)) ? wished : await freePort();
    return await start(engine, image, port, extras);
  } catch (error) {
    say(`The container of ${image} did not start: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

export function dockerHost({ container, url }: DockerHandle): BrokerHost {
  return {
    ctl: (args) => containerCtl(container, args),
    kill: () => killContainer(container),
    async start() {
      await startContainer(container);
      await awaitAmqp(url, START_LIMIT);
    },
    remove: () => removeContainer(container),
  };
}

async function start(
  engine: ContainerRuntimeClient,
  image: string,
  port: number,
  extras: Extras,
): Promise<StartedHost<DockerHandle>> {
  const container = `instance-queue-${randomBytes(6).toString('hex')}`;
  const { host } = engine.info.containerRuntime;
  // Published on loopback alone where that will do, which is not so for an engine elsewhere, or outside of our container.
  const near = host === 'localhost' || (await isOwnAddress(host));
  const url = `amqp://guest:guest@${near ? '127.0.0.1' : host}:${port}/`;
  const warden = postWarden({ how: 'docker', container });
  let version = 'unknown';
  let log: string | undefined;
  const answered: WaitStrategy = {
    async waitUntilReady() {
      try {
        ({ version } = await awaitAmqp(url, START_LIMIT, () => whyStopped(engine, container)));
      } catch (error) {
        // Now, for Testcontainers removes a container that does not become ready.
        log = await containerLog(container);
        throw error;
      }
    },
    withStartupTimeout: () => answered,
    isStartupTimeoutSet: () => true,
    getStartupTimeout: () => START_LIMIT,
  };
  try {
    await brokerContainer(image, port, near)
      .withName(container)
      .withCopyContentToContainer(filesOf(extras))
      .withWaitStrategy(answered)
      .start();
  } catch (error) {
    log ??= await containerLog(container);
    await warden.dismiss();
    throw new Error(`${firstLine(error)}\nThe end of its log:\n${log}`, { cause: error });
  }
  const handle: DockerHandle = { how: 'docker', url, version, image, container };
  const shared = dockerHost(handle);
  return {
    handle,
    host: {
      ...shared,
      async remove() {
        await warden.dismiss();
        await removeContainer(container, 0);
      },
    },
  };
}

/** With the port of the machine fixed, so that a container that is killed and started again keeps it. */
function brokerContainer(
  image: string,
  port: number,
  near: boolean,
): InstanceType<ReturnType<typeof testcontainers>['GenericContainer']> {
  const { GenericContainer } = testcontainers();
  class BrokerContainer extends GenericContainer {
    constructor() {
      super(image);
      this.withExposedPorts({ container: AMQP_PORT, host: port });
      // Testcontainers itself would publish on all interfaces, with guest:guest.
      if (near)
        this.hostConfig.PortBindings = { [`${AMQP_PORT}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(port) }] };
    }
  }
  return new BrokerContainer();
}

/** Without extras the image's own files stay as they are. */
function filesOf(extras: Extras): { readonly content: string; readonly target: string }[] {
  const { plugins, advancedConfig } = extras;
  return [
    ...(plugins ? [{ content: enabledPlugins(extras), target: '/etc/rabbitmq/enabled_plugins' }] : []),
    ...(advancedConfig === undefined ? [] : [{ content: advancedConfig, target: '/etc/rabbitmq/advanced.config' }]),
  ];
}

async function whyStopped(engine: ContainerRuntimeClient, container: string): Promise<string | undefined> {
  const { State: state } = await engine.container.getById(container).inspect();
  return state.Running ? undefined : `the container ended with ${state.ExitCode}`;
}
