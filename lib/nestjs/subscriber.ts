import { Logger } from '@nestjs/common';
import type { DiscoveryService, ExternalContextCreator, MetadataScanner, ModuleRef } from '@nestjs/core';
import { filter, firstValueFrom, from, ignoreElements, lastValueFrom, merge, Subject, type Observable } from 'rxjs';
import type { InstanceQueue } from '../client/instance-queue';
import { OptionsError } from '../errors';
import { handle } from '../operators/handle';
import type { Handled } from '../operators/handle-options';
import { discover, type FoundMethod } from './discover';
import { handlingFor, type MethodSubscription } from './subscriptions';
import { getInstanceQueueToken } from './tokens';
import { workerOf } from './worker-of';

/** What a Subscriber works with. */
export interface SubscriberOptions {
  readonly name: string | undefined;
  readonly waitUntilUp: boolean;
  readonly instanceQueue: InstanceQueue;
  readonly moduleRef: ModuleRef;
  readonly discovery: DiscoveryService;
  readonly scanner: MetadataScanner;
  readonly creator: ExternalContextCreator;
}

/** Runs the methods that subscribe to one InstanceQueue. */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #logger: Logger;
  readonly #ending$ = new Subject<void>();
  readonly #running: Promise<void>[] = [];

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#logger = new Logger(options.name === undefined ? 'InstanceQueue' : `InstanceQueue:${options.name}`);
  }

  /** Rejects, with `waitUntilUp`, if the broker refuses something for good. @throws OptionsError */
  async start(): Promise<void> {
    const { discovery, scanner, instanceQueue, waitUntilUp } = this.#options;
    const methods = discover(discovery, scanner);
    for (const method of methods) this.#check(method);
    const running = methods.flatMap((method) =>
      method.subscriptions
        .filter(({ options }) => options.connection === this.#options.name)
        .map((subscription) => this.#run(method, subscription)),
    );
    // A service that only publishes is to be ready, too.
    const connected = instanceQueue.connect();
    if (!waitUntilUp) {
      connected.catch((error: unknown) => {
        this.#logger.error('The connections cannot be opened', error);
      });
      return;
    }
    try {
      const up = firstValueFrom(instanceQueue.health$.pipe(filter(({ status }) => status === 'up')));
      await Promise.race([Promise.all([connected, up]), firstRejection(running)]);
    } catch (error) {
      // Nest calls no hooks of an application that did not start.
      await this.end();
      await this.close();
      throw error;
    }
  }

  /** Handlers end while the providers that they use are there. */
  async end(): Promise<void> {
    this.#ending$.next();
    await Promise.all(this.#running);
  }

  async close(): Promise<void> {
    const { unsettled, unconfirmed } = await this.#options.instanceQueue.close();
    if (unsettled + unconfirmed > 0)
      this.#logger.warn(`Closed with ${unsettled} deliveries unsettled and ${unconfirmed} messages unconfirmed`);
  }

  #run(method: FoundMethod, subscription: MethodSubscription): Promise<void> {
    const pipeline = lastValueFrom(this.#pipeline(method, subscription).pipe(ignoreElements()), {
      defaultValue: undefined,
    });
    this.#running.push(
      pipeline.catch((error: unknown) => {
        this.#logger.error(`${method.label} consumes no more`, error);
      }),
    );
    return pipeline;
  }

  #pipeline(
    method: FoundMethod,
    { kind, options, handling }: MethodSubscription,
  ): Observable<Handled<unknown, unknown>> {
    const { instanceQueue, creator } = this.#options;
    const { connection: _, until, ...consuming } = options;
    const ended$ = until === undefined ? this.#ending$ : merge(from(until), this.#ending$);
    const worker = workerOf(method, creator);
    const resolved = handlingFor(instanceQueue, handling, method.label);
    return kind === 'respond'
      ? instanceQueue.respond({ ...consuming, until: ended$ }, worker, resolved)
      : instanceQueue.consume({ ...consuming, until: ended$ }).pipe(handle(worker, resolved));
  }

  /** @throws OptionsError, if no module provides the InstanceQueue that a decorator names */
  #check({ label, subscriptions }: FoundMethod): void {
    for (const { options } of subscriptions) {
      const { connection } = options;
      try {
        this.#options.moduleRef.get(getInstanceQueueToken(connection), { strict: false });
      } catch (cause) {
        const [what, how] =
          connection === undefined
            ? ['an InstanceQueue without a name', '']
            : [`the InstanceQueue \`${connection}\``, `name: '${connection}', `];
        throw new OptionsError(
          'connection',
          `\`${label}\` subscribes to ${what}, which no module provides. Import InstanceQueueModule.forRoot({ ${how}… }).`,
          { cause },
        );
      }
    }
  }
}

const firstRejection = (promises: readonly Promise<unknown>[]): Promise<never> =>
  new Promise((_, reject) => {
    for (const promise of promises) promise.catch(reject);
  });
