/** Asks the demo to do something. Resolves to whether it did. */
export async function order(path) {
  try {
    const { ok } = await fetch(path, { method: 'POST' });
    return ok;
  } catch {
    return false;
  }
}
