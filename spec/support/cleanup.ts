/** What a test opens is closed behind it, last opened first, whether the test passed or not. */
type Closable = { close(options?: { drainTimeout?: number }): unknown } | { [Symbol.asyncDispose](): Promise<void> };

const opened: Closable[] = [];

/** `const queue = closing(new InstanceQueue(url))`; the spec calls `afterEach(closeAll)`. */
export function closing<C extends Closable>(closable: C): C {
  opened.push(closable);
  return closable;
}

export async function closeAll(): Promise<void> {
  for (let last = opened.pop(); last; last = opened.pop()) {
    if ('close' in last) await last.close({ drainTimeout: 0 });
    else await last[Symbol.asyncDispose]();
  }
}

let names = 0;
/** A name no other test has, also on a broker shared between runs. */
export function uniqueName(prefix = 'spec'): string {
  return `${prefix}-${String(process.pid)}-${Date.now().toString(36)}-${String(++names)}`;
}
