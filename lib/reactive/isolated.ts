/**
 * Calls a listener of the user's where a throw would break the caller: in a callback of the transport it closes the channel.
 * What the listener throws becomes an uncaught exception, as RxJS does with what a subscriber throws.
 */
export function isolated(call: () => void): void {
  try {
    call();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
