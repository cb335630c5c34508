import { join } from 'node:path';
import ts from 'typescript';
import { projectConfig, root } from '../support/compiler';

const doors = [
  'index.ts',
  'dashboard/dashboard.ts',
  'health/index.ts',
  'nestjs/index.ts',
  'opentelemetry/index.ts',
  'prometheus/register.ts',
  'testing/index.ts',
  'tools/index.ts',
].map((path) => join(root, 'lib', path));
const program = ts.createProgram({ rootNames: doors, options: projectConfig().options });
const checker = program.getTypeChecker();

/** Every symbol the doors export, by its name, with what stands behind re-exports. */
function exported(): ReadonlyMap<string, ts.Symbol> {
  return new Map(
    doors.flatMap((door) => {
      const file = program.getSourceFile(door);
      const symbol = file && checker.getSymbolAtLocation(file);
      if (!symbol) throw new Error(`${door} exports nothing.`);
      return checker.getExportsOfModule(symbol).map((one): [string, ts.Symbol] => {
        return [one.name, one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one];
      });
    }),
  );
}

const docOf = (symbol: ts.Symbol): string => ts.displayPartsToString(symbol.getDocumentationComment(checker));

/** The doc comment as it is written, tags and all. */
const commentOf = (symbol: ts.Symbol): string =>
  (symbol.declarations ?? [])
    .flatMap((declaration) => ts.getJSDocCommentsAndTags(declaration).map((doc) => doc.getText()))
    .join('\n');

const isObservable = (type: ts.Type): boolean => type.symbol.name === 'Observable';

/** Does reading this, or calling it, give an Observable? */
function givesObservable(symbol: ts.Symbol): boolean {
  const declaration = symbol.valueDeclaration;
  if (!declaration) return false;
  const type = checker.getTypeOfSymbolAtLocation(symbol, declaration);
  const results = type.getCallSignatures().map((signature) => signature.getReturnType());
  return [type, ...results].some((one) => (one.getSymbol() ? isObservable(one) : false));
}

/** Members that users see of a class. */
function members(symbol: ts.Symbol): ts.Symbol[] {
  const isClass = (symbol.flags & ts.SymbolFlags.Class) !== 0;
  if (!isClass) return [];
  return [...(symbol.members?.values() ?? [])].filter(({ name, declarations = [] }) => {
    const here = declarations.every((declaration) =>
      declaration.getSourceFile().fileName.startsWith(join(root, 'lib')),
    );
    const hidden =
      name.startsWith('#') ||
      name.startsWith('__#') ||
      declarations.some((one) => ts.getJSDocTags(one).some((tag) => tag.tagName.text === 'internal'));
    return here && !hidden;
  });
}

const symbols = [...exported()];
const streams = symbols.flatMap(([name, symbol]) => [
  ...(givesObservable(symbol) ? [[name, symbol] as const] : []),
  ...members(symbol)
    .filter(givesObservable)
    .map((member) => [`${name}.${member.name}`, member] as const),
]);

describe('the doc comments are contracts', () => {
  it.each(symbols)('%s says what it is', (_name, symbol) => {
    expect(docOf(symbol)).not.toBe('');
  });

  it('there are streams among what is exported', () => {
    expect(streams.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        'consume',
        'Connection.state$',
        'Consumer.deliveries$',
        'InstanceQueue.health$',
        'Producer.outbox$',
      ]),
    );
  });

  it.each(streams)('%s says what it emits, when it completes and with what it errors', (_name, symbol) => {
    const comment = commentOf(symbol);
    expect(comment).toMatch(/\bEmits:/);
    expect(comment).toMatch(/\bCompletes:/);
    expect(comment).toMatch(/\bErrors:/);
  });

  it.each(symbols.filter(([name]) => ['batch', 'handle', 'publish'].includes(name)))(
    'so does the operator %s',
    (_name, symbol) => {
      for (const line of ['Emits:', 'Completes:', 'Errors:', 'Unsubscribe:']) expect(commentOf(symbol)).toContain(line);
    },
  );

  it('each class has an example, and so has each function', () => {
    const without = symbols
      .filter(([, { flags }]) => (flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Function)) !== 0)
      .filter(([name, symbol]) => !name.endsWith('Error') && !commentOf(symbol).includes('@example'))
      .map(([name]) => name);
    expect(without).toEqual([]);
  });
});
