import type { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { OptionsError } from '../errors';
import { subscriptionsOf, type MethodSubscription } from './subscriptions';

/** What Nest keeps of a provider or controller. */
type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];
/** A method of a provider or controller. */
export type Method = (...args: unknown[]) => unknown;

/** A method with decorators, and the provider or controller that it belongs to. */
export interface FoundMethod {
  readonly wrapper: Wrapper;
  readonly name: string;
  /** For people: `OrdersService.ship`. */
  readonly label: string;
  readonly method: Method;
  readonly subscriptions: readonly MethodSubscription[];
}

/** Every method of the application with `@Subscribe` or `@Respond`. @throws OptionsError, if its class is transient */
export function discover(discovery: DiscoveryService, scanner: MetadataScanner): readonly FoundMethod[] {
  const seen = new Set<unknown>();
  return [...discovery.getProviders(), ...discovery.getControllers()].flatMap((wrapper) => {
    const prototype = prototypeOf(wrapper);
    // A value under two tokens is one and the same object.
    const one: unknown = wrapper.isDependencyTreeStatic() ? wrapper.instance : wrapper;
    if (prototype === undefined || wrapper.isAlias || seen.has(one)) return [];
    seen.add(one);
    return scanner.getAllMethodNames(prototype).flatMap((name) => {
      const method: unknown = Reflect.get(prototype, name);
      if (typeof method !== 'function') return [];
      const subscriptions = subscriptionsOf(method as Method);
      if (subscriptions.length === 0) return [];
      const label = `${String(wrapper.name)}.${name}`;
      if (wrapper.isTransient) throw transient(label);
      return [{ wrapper, name, label, method: method as Method, subscriptions }];
    });
  });
}

const transient = (label: string): OptionsError =>
  new OptionsError(
    'scope',
    `\`${label}\` has @Subscribe or @Respond, but its class is transient, so there is no one instance to call it on. Use the default scope, or Scope.REQUEST for an instance per message.`,
  );

function prototypeOf(wrapper: Wrapper): object | undefined {
  if (wrapper.isDependencyTreeStatic() && !wrapper.isTransient) {
    const instance: unknown = wrapper.instance;
    const prototype: unknown =
      typeof instance === 'object' && instance !== null ? Object.getPrototypeOf(instance) : undefined;
    return isPrototype(prototype) ? prototype : undefined;
  }
  // What is made per request, or per user, has no instance yet; what a factory makes of it is unknown.
  const prototype: unknown = wrapper.isNotMetatype ? undefined : wrapper.metatype?.prototype;
  return isPrototype(prototype) ? prototype : undefined;
}

const isPrototype = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && value !== Object.prototype;
