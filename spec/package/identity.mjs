// `require` and `import` yield the same classes, hence the same state and a working `instanceof`.
import * as imported from 'instance-queue';
import { createRequire } from 'node:module';

const required = createRequire(import.meta.url)('instance-queue');
const names = Object.keys(required);
if (names.length === 0) throw new Error('require() finds no exports');
const different = names.filter((name) => imported[name] !== required[name]);
if (different.length > 0) throw new Error(`Not the same through import and require: ${different.join(', ')}`);
