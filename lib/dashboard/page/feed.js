/** ms until the next attempt, when the browser makes none of its own. */
const AGAIN = 2000;

/**
 * Listens to server-sent events: `listeners` by name, and `lost` when there is no answer. The browser reconnects by itself, and
 * the first event that it gets then is everything.
 */
export function listen(address, names, listeners, lost) {
  const source = new EventSource(address);
  for (const name of names) {
    source.addEventListener(name, ({ data }) => listeners[name](JSON.parse(data)));
  }
  source.addEventListener('error', () => {
    lost();
    // After some answers an EventSource gives up; the page is to try as long as it is open.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(address, names, listeners, lost), AGAIN);
  });
}
