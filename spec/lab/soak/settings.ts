/** Settings of a soak test from the environment. */

/** `SOAK_SEED`, or a new one. */
export const seed = number('SOAK_SEED') ?? Date.now() % 1_000_000;

/** `SOAK_SECONDS`, or this default. */
export const length = (usual: number): number => number('SOAK_SECONDS') ?? usual;

function number(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`Expected ${name} to be a whole number above 0, got ${JSON.stringify(text)}`);
}
