/**
 * Runs a listener of the user's where an exception would break what calls it: a throw in an amqplib callback closes the
 * channel. It surfaces as an uncaught exception all the same, as RxJS does with what a subscriber throws.
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
