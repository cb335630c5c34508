/** ms until the next attempt, if the browser has given up. */
const AGAIN = 2000;

const listeners = new Map();

/** Calls each listener with the data of the events of its name. */
export function on(named) {
  for (const [name, listener] of Object.entries(named)) listeners.set(name, listener);
}

/**
 * Listens to server-sent events, and calls `lost` when the connection is lost. The browser reconnects by itself, and then gets
 * the whole present state first. The panel's events use the same connection: browsers allow six per host.
 */
export function listen(address, lost) {
  const source = new EventSource(address);
  for (const [name, listener] of listeners) source.addEventListener(name, ({ data }) => listener(JSON.parse(data)));
  source.addEventListener('error', () => {
    lost();
    // An EventSource gives up after some responses. The page tries as long as it is open.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(address, lost), AGAIN);
  });
}
