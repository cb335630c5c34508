import type * as Arktype from 'arktype' with { 'resolution-mode': 'import' };

/** `type` of arktype, which has no build for CommonJS: Jest transforms it (jest.config.ts), the compiler only needs its types. */
export const { type } = jest.requireActual<typeof Arktype>('arktype');
