import { createRequire } from 'node:module';
import type { ContainerRuntimeClient } from 'testcontainers';

/** Not `import()`, which does not exist in the CommonJS of a jest worker. */
const load = createRequire(__filename);

export type Testcontainers = typeof import('testcontainers');

/** How long the engine may take to find out whether its registry can be reached at all. */
const REGISTRY_LIMIT = 10_000;
const PULL_LIMIT = 300_000;

/** Loaded when needed only: it is large, and whoever attaches to a local node needs nothing of it. */
export function testcontainers(): Testcontainers {
  return load('testcontainers') as Testcontainers;
}

/** The engine that Testcontainers finds, if one answers. */
export async function findEngine(): Promise<ContainerRuntimeClient | undefined> {
  try {
    return await testcontainers().getContainerRuntimeClient();
  } catch {
    return undefined;
  }
}

/** Sees to it that the image is there. Resolves to the reason why it can't be had, if so; without the network, soon. */
export async function whyNoImage(
  engine: ContainerRuntimeClient,
  image: string,
  say: (line: string) => void,
): Promise<string | undefined> {
  const name = testcontainers().ImageName.fromString(image);
  if (await engine.image.exists(name)) return undefined;
  try {
    await engine.container.dockerode
      .getImage(name.string)
      .distribution({ abortSignal: AbortSignal.timeout(REGISTRY_LIMIT) });
  } catch (error) {
    // An answer such as 401 or 404 may come for want of a login, or from an engine that does not know the question: pulling tells.
    const { statusCode = 500 } = error as { statusCode?: number };
    if (statusCode >= 500) return firstLine(error);
  }
  say(`Pulling ${name.string} …`);
  try {
    await within(PULL_LIMIT, engine.image.pull(name));
  } catch (error) {
    return firstLine(error);
  }
  // The stream of a pull ends just the same when the pull has failed.
  return (await isThere(engine, name.string)) ? undefined : 'it could not be pulled';
}

/** Testcontainers' own reaper needs an image of its own. Without it our warden does that work, so it is switched off then. */
export async function prepareReaper(engine: ContainerRuntimeClient, say: (line: string) => void): Promise<void> {
  if (process.env.TESTCONTAINERS_RYUK_DISABLED === 'true') return;
  const { getReaper } = testcontainers();
  const reason =
    (await whyNoImage(engine, reaperImage(), say)) ?? (await getReaper(engine).then(() => undefined, firstLine));
  if (reason === undefined) return;
  say(`Going on without Ryuk, the reaper of Testcontainers: ${reason}`);
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
}

export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n')[0] ?? text;
}

function reaperImage(): string {
  // Deep inside, for the version of its image is told nowhere else.
  return (load('testcontainers/build/reaper/reaper') as { REAPER_IMAGE: string }).REAPER_IMAGE;
}

async function isThere(engine: ContainerRuntimeClient, image: string): Promise<boolean> {
  return engine.container.dockerode
    .getImage(image)
    .inspect()
    .then(
      () => true,
      () => false,
    );
}

async function within<T>(limit: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
