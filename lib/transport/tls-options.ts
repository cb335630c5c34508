import { types } from 'node:util';
import { type Check, isObject } from '../options';

/** The options of `tls.connect` that Node takes in PEM alone. */
const IN_PEM = ['ca', 'cert', 'key'] as const;

/**
 * The first of them that holds no PEM. Node takes a `ca` without a certificate in it, such as the name of a file, and then trusts no
 * broker that a private CA has signed.
 */
export const notInPem = (tls: object): (typeof IN_PEM)[number] | undefined =>
  IN_PEM.find((name) => !partsOf(Reflect.get(tls, name)).every(isPem));

/** The check of the option `tls`. */
export const tlsOptions: Check = (value) => {
  if (!isObject(value)) return "an object of Node's TLS options";
  const wrong = notInPem(value);
  return (
    wrong && `an object of Node's TLS options, with \`${wrong}\` in PEM (the content of its file, and not its name)`
  );
};

/** Node leaves out what is not given: an empty string, too. */
const partsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value ? [value] : []);

function isPem(part: unknown): boolean {
  // A key may come with a passphrase of its own.
  const given: unknown = isObject(part) && !types.isUint8Array(part) ? part['pem'] : part;
  const text = types.isUint8Array(given) ? Buffer.from(given).toString('latin1') : given;
  return typeof text === 'string' && text.includes('-----BEGIN ');
}
