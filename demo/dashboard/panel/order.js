/** Sends an order to the demo. Resolves with whether it was accepted. */
export async function order(path) {
  try {
    const { ok } = await fetch(path, { method: 'POST' });
    return ok;
  } catch {
    return false;
  }
}
