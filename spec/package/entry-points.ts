import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What users can import, as package.json has it; paths from the root. */
export interface EntryPoint {
  readonly name: string;
  readonly declarations: string;
  readonly program: string;
}

export function entryPoints(root: string): readonly EntryPoint[] {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { types: string; default: string }>;
  };
  return Object.entries(exports).flatMap(([path, target]) => {
    if (typeof target === 'string') return [];
    return [{ name: path === '.' ? 'index' : path.slice(2), declarations: target.types, program: target.default }];
  });
}

/** The program behind `npx instance-queue`; a path from the root. */
export function binary(root: string): string {
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: Record<string, string> };
  const [program] = Object.values(bin);
  if (program === undefined) throw new Error('package.json names no program in `bin`.');
  return program;
}
