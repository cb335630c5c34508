import { build } from 'esbuild';
import { join } from 'node:path';
import webpack, { type Configuration } from 'webpack';

/** One way to make a program one file. */
export interface Bundler {
  readonly name: string;
  /** Bundles `program` into `outfile`. Rejects with everything that the bundler complains of, warnings too. */
  bundle(program: string, outfile: string): Promise<void>;
}

const withEsbuild = (minify: boolean): Bundler => ({
  name: minify ? 'esbuild, minified' : 'esbuild',
  async bundle(program, outfile) {
    const common = { bundle: true, platform: 'node', target: 'node20', logLevel: 'silent' } as const;
    // A program that awaits at its top level is an ES module; the packages in it are CommonJS, and require what Node has.
    const banner = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;
    const esm = { format: 'esm', banner: { js: banner } } as const;
    const { warnings } = await build({ ...common, ...esm, entryPoints: [program], outfile, minify });
    if (warnings.length > 0) throw new Error(warnings.map(({ text }) => text).join('\n'));
  },
});

const withWebpack = (minify: boolean): Bundler => ({
  name: minify ? 'webpack, minified' : 'webpack',
  async bundle(program, outfile) {
    const configuration: Configuration = {
      mode: minify ? 'production' : 'development',
      devtool: false,
      target: 'node20',
      entry: program,
      experiments: { outputModule: true },
      output: { path: join(outfile, '..'), filename: outfile.slice(join(outfile, '..').length + 1), module: true },
      performance: { hints: false },
    };
    const stats = await new Promise<webpack.Stats>((resolve, reject) => {
      webpack(configuration, (error, result) => {
        if (result) resolve(result);
        else reject(error ?? new Error('webpack says nothing'));
      });
    });
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString('errors-warnings'));
  },
});

/** Those that most people use, and what becomes of names in them. */
export const bundlers: readonly Bundler[] = [
  withEsbuild(false),
  withEsbuild(true),
  withWebpack(false),
  withWebpack(true),
];
