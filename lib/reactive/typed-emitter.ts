import { EventEmitter } from 'node:events';

/**
 * Node's `EventEmitter` for the events of `E` alone, which maps each name to the arguments of its listeners. Node's own typings take
 * any name: a listener of a misspelt event would compile, and would never be called.
 *
 * @example
 * queue.on('reconnecting', ({ attempt, cause }, role) => console.warn(role, attempt, cause));
 */
export class TypedEmitter<E extends Record<keyof E, unknown[]>> extends EventEmitter {
  override on<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    return super.on(event, listener);
  }
  override once<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    return super.once(event, listener);
  }
  override off<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    return super.off(event, listener);
  }
  override addListener<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    return super.addListener(event, listener);
  }
  override removeListener<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    return super.removeListener(event, listener);
  }
  override prependListener<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    return super.prependListener(event, listener);
  }
  override prependOnceListener<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    return super.prependOnceListener(event, listener);
  }
  override emit<K extends keyof E & string>(event: K, ...args: E[K]): boolean {
    return super.emit(event, ...args);
  }
  override listenerCount<K extends keyof E & string>(event: K, listener?: (...args: E[K]) => void): number {
    return super.listenerCount(event, listener);
  }
  override listeners(event: keyof E & string): ReturnType<EventEmitter['listeners']> {
    return super.listeners(event);
  }
  override rawListeners(event: keyof E & string): ReturnType<EventEmitter['rawListeners']> {
    return super.rawListeners(event);
  }
  override removeAllListeners(event?: keyof E & string): this {
    // Node counts the arguments: `undefined` is an event without listeners.
    return event === undefined ? super.removeAllListeners() : super.removeAllListeners(event);
  }
}
