// `require` and `import` yield the same classes, hence the same state and a working `instanceof`.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { exports } = require('instance-queue/package.json');
const entries = Object.keys(exports).filter((entry) => entry !== './package.json');
for (const entry of entries) {
  const name = entry.replace('.', 'instance-queue');
  const imported = await import(name);
  const required = require(name);
  const names = Object.keys(required);
  if (names.length === 0) throw new Error(`require('${name}') finds no exports`);
  const different = names.filter((one) => imported[one] !== required[one]);
  if (different.length > 0) throw new Error(`Not the same through import and require: ${different.join(', ')}`);
}
