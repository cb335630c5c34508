/** The TypeScript compiler on this project, for tests of types. */
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

export const root = join(__dirname, '..', '..');

/** tsconfig.json, as `tsc` reads it. */
export function projectConfig(): ts.ParsedCommandLine {
  const path = join(root, 'tsconfig.json');
  const json = ts.readJsonConfigFile(path, (file) => ts.sys.readFile(file));
  return ts.parseJsonSourceFileConfigFileContent(json, ts.sys, root);
}

/** The compiler's messages, a line each: `spec/x.ts:3:7 TS2322: …`. */
export function diagnose(files: readonly string[], options: ts.CompilerOptions, host?: ts.CompilerHost): string[] {
  const program = ts.createProgram({ rootNames: files, options, ...(host && { host }) });
  return ts.getPreEmitDiagnostics(program).map(oneLine);
}

/** A compiler host with these files besides those on disk. */
export function hostWith(extra: ReadonlyMap<string, string>, options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options, true);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  const folders = new Set([...extra.keys()].map((path) => dirname(path)));
  return {
    ...host,
    fileExists: (path) => extra.has(path) || fileExists(path),
    readFile: (path) => extra.get(path) ?? readFile(path),
    directoryExists: (path) => folders.has(path) || (directoryExists?.(path) ?? true),
    getSourceFile: (path, target, ...rest) => {
      const text = extra.get(path);
      return text === undefined ? getSourceFile(path, target, ...rest) : ts.createSourceFile(path, text, target, true);
    },
  };
}

function oneLine({ file, start = 0, code, messageText }: ts.Diagnostic): string {
  const message = `TS${code}: ${ts.flattenDiagnosticMessageText(messageText, '\n  ')}`;
  if (!file) return message;
  const { line, character } = file.getLineAndCharacterOfPosition(start);
  return `${relative(root, file.fileName)}:${line + 1}:${character + 1} ${message}`;
}
