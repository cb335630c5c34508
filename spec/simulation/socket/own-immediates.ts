// Loaded first: it has to find the real one.
import '../../../lib/testing/simulation/world';

/**
 * amqplib keeps the `setImmediate` that it finds when it is loaded. Imported before it, this gives it one that asks for the present
 * one at each call: that of the simulated world, while there is one.
 */
const { setImmediate: real } = globalThis;

const present = (callback: (...args: unknown[]) => void, ...args: unknown[]): NodeJS.Immediate => {
  const { setImmediate: current } = globalThis;
  return current === present ? real(callback, ...args) : current(callback, ...args);
};

Object.defineProperty(globalThis, 'setImmediate', { value: present, configurable: true, writable: true });
