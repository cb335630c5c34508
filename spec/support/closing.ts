type Closable = { close(options?: { drainTimeout?: number }): unknown } | { [Symbol.asyncDispose](): Promise<void> };

const opened: Closable[] = [];

/** Registers what a test opens, so that it is closed after the test: `const client = closing(new InstanceQueue(url))`. */
export function closing<C extends Closable>(closable: C): C {
  opened.push(closable);
  return closable;
}

/** Closes everything registered with {@link closing}, last opened first. Fixtures call it; other specs say `afterEach(closeAll)`. */
export async function closeAll(): Promise<void> {
  for (let last = opened.pop(); last; last = opened.pop()) {
    if ('close' in last) await last.close({ drainTimeout: 0 });
    else await last[Symbol.asyncDispose]();
  }
}
