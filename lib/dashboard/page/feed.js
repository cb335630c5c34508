/** ms until the next attempt, when the browser makes none of its own. */
const AGAIN = 2000;

const listeners = new Map();

/** Calls each listener with the data of the events that have its name. */
export function on(named) {
  for (const [name, listener] of Object.entries(named)) listeners.set(name, listener);
}

/**
 * Listens to server-sent events, and calls `lost` when there is no answer. The browser reconnects by itself, and the first
 * events that it gets then are everything. A panel's events come on the same connection: browsers allow six per host.
 */
export function listen(address, lost) {
  const source = new EventSource(address);
  for (const [name, listener] of listeners) source.addEventListener(name, ({ data }) => listener(JSON.parse(data)));
  source.addEventListener('error', () => {
    lost();
    // After some answers an EventSource gives up; the page is to try as long as it is open.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(address, lost), AGAIN);
  });
}
