import type { Patch } from './threads';

/** Mistakes in how processes share a partitioned queue. */
export const PLANTED_IN_PARTITIONS: Readonly<Record<string, Patch>> = {
  'messages-of-one-key-do-not-wait-for-each-other': {
    file: 'lib/partitioned/keyed-sends.ts',
    search: 'const before = this.#last.get(key);',
    replace: 'const before = this.#last.get(key + String(began));',
  },
  'one-who-comes-is-not-answered': {
    file: 'lib/partitioned/membership.ts',
    search: "if (hello === true) void this.#send('', member.address, this.#announcement());",
    replace: '',
  },
  'one-who-leaves-gets-its-share-all-the-same': {
    file: 'lib/partitioned/membership.ts',
    search: 'return this.#left ? { ...me, leaving: true } : me;',
    replace: 'return me;',
  },
  'what-members-tell-each-other-counts-as-delivered': {
    file: 'lib/consumer/delivery-decoder.ts',
    search: 'if (noAck && !internal) {',
    replace: 'if (noAck) {',
  },
};
