import { EventEmitter, once } from 'node:events';
import { TypedEmitter } from '../../../lib/reactive/typed-emitter';

const emitter = () => new TypedEmitter<{ rose: [height: number]; fell: [] }>();

it('is an emitter of Node', async () => {
  const one = emitter();
  expect(one).toBeInstanceOf(EventEmitter);
  const rose = once(one, 'rose');
  one.emit('rose', 5);
  expect(await rose).toEqual([5]);
});

it('calls listeners in the order of Node, each as often as it asked', () => {
  const one = emitter();
  const called: string[] = [];
  const always = (height: number): void => void called.push(`always ${String(height)}`);
  one
    .on('rose', always)
    .once('rose', () => called.push('once'))
    .prependListener('rose', () => called.push('first'))
    .prependOnceListener('rose', () => called.push('once, first'));
  expect(one.emit('rose', 1)).toBe(true);
  one.emit('rose', 2);
  expect(called).toEqual(['once, first', 'first', 'always 1', 'once', 'first', 'always 2']);
  expect(one.listenerCount('rose')).toBe(2);
  expect(one.listenerCount('rose', always)).toBe(1);
  expect(one.listeners('rose')).toContain(always);
  one.off('rose', always);
  expect(one.rawListeners('rose')).toHaveLength(1);
  expect(one.emit('fell')).toBe(false);
});

it('loses the listeners of one event, or all of them', () => {
  const one = emitter();
  const listen = (): unknown => one.on('rose', () => undefined).addListener('fell', () => undefined);
  listen();
  one.removeAllListeners('rose');
  expect(one.eventNames()).toEqual(['fell']);
  listen();
  one.removeAllListeners();
  expect(one.eventNames()).toEqual([]);
});
