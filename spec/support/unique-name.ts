let count = 0;

/** A name that no other test uses, even on a broker that several test runs share. */
export function uniqueName(prefix = 'spec'): string {
  return `${prefix}-${String(process.pid)}-${Date.now().toString(36)}-${String(++count)}`;
}
