import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Credentials } from 'instance-queue';

const KEY = 'key-of-the-spec';
const RESOURCE = 'rabbitmq';

/** The plugin that takes tokens for passwords. https://www.rabbitmq.com/docs/oauth2 */
export const OAUTH2_PLUGIN = 'rabbitmq_auth_backend_oauth2';

const base64url = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');

/** Signs tokens (JWT, RS256) for a RabbitMQ that runs with its `advancedConfig` and `OAUTH2_PLUGIN`. */
export class TokenIssuer {
  /** Users with a password can still log in. */
  readonly advancedConfig: string;
  readonly #key: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    this.#key = privateKey;
    this.advancedConfig = `[
      {rabbit, [{auth_backends, [rabbit_auth_backend_internal, rabbit_auth_backend_oauth2]}]},
      {${OAUTH2_PLUGIN}, [
        {resource_server_id, <<"${RESOURCE}">>},
        {key_config, [{default_key, <<"${KEY}">>}, {signing_keys, #{<<"${KEY}">> => {pem, <<"${pem}">>}}}]}
      ]}
    ].\n`;
  }

  /** A token with every permission. It lives for `lifetime` ms or up to a second longer: it expires at a whole second. */
  credentials(lifetime: number): Credentials {
    const exp = Math.ceil((Date.now() + lifetime) / 1000);
    const all = ['configure', 'read', 'write'].map((permission) => `${RESOURCE}.${permission}:*/*`);
    const claims = { sub: 'app', client_id: 'app', aud: [RESOURCE], scope: all, exp };
    const signed = `${base64url({ alg: 'RS256', typ: 'JWT', kid: KEY })}.${base64url(claims)}`;
    const signature = createSign('RSA-SHA256').update(signed).sign(this.#key, 'base64url');
    return { username: '', password: `${signed}.${signature}`, expiresAt: new Date(exp * 1000) };
  }
}
