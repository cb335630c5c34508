/** What `rabbitmqctl` said, without the pages of usage that it likes to add. */
export function ctlError(args: readonly string[], said: string): Error {
  const reason = said.split(/\n\s*(?:Arguments given:|\S*Usage)/)[0]?.trim() ?? said;
  return new Error(`rabbitmqctl ${args.join(' ')} failed: ${reason}`);
}
