const NAMES = ['present', 'health', 'spans', 'sample', 'trouble', 'log', 'end'];

/**
 * Listens to the dashboard: `listeners` by the name of the event, and `lost` when it does not answer. The browser tries
 * again by itself, and the first thing that it then gets is everything.
 */
export function listen(listeners, lost) {
  const source = new EventSource('/events');
  for (const name of NAMES) {
    source.addEventListener(name, ({ data }) => listeners[name](JSON.parse(data)));
  }
  source.addEventListener('error', () => {
    lost();
    // Some answers are final for an EventSource; it is to try as long as somebody looks.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(listeners, lost), 2000);
  });
}

/** Tells the dashboard to do something. Resolves to whether it did. */
export async function order(path) {
  try {
    const { ok } = await fetch(path, { method: 'POST' });
    return ok;
  } catch {
    return false;
  }
}
