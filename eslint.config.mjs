// @ts-check
import js from '@eslint/js';
import rxjsX from 'eslint-plugin-rxjs-x';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * `$` on every Observable and on nothing else. A Subject, where one writes as well, and what may be something else than
 * an Observable (ObservableInput) are named either way; `source` is what RxJS calls what an operator is applied to.
 * (`rxjs-x/finnish` wants the `$` on functions that return one as well, if they are handed around.)
 *
 * @type {import('eslint').Rule.RuleModule}
 */
const dollar = {
  meta: { type: 'suggestion', schema: [] },
  create(context) {
    const { getTypeAtLocation } = context.sourceCode.parserServices;
    const has = (type, ...names) => names.every((name) => type.getProperty(name) !== undefined);
    const isStream = (type) => has(type, 'pipe', 'subscribe');

    function check(node) {
      const parts = ((type) => (type.isUnion() ? type.types : [type]))(getTypeAtLocation(node).getNonNullableType());
      const marked = node.name.endsWith('$');
      if (!marked && node.name !== 'source' && parts.every((type) => isStream(type) && !has(type, 'next')))
        context.report({ node, message: 'An Observable: its name ends in `$`.' });
      if (marked && !parts.some(isStream)) context.report({ node, message: 'Not an Observable: no `$`.' });
    }

    return {
      'VariableDeclarator > Identifier.id': check,
      ':function > Identifier.params': check,
      ':matches(PropertyDefinition, TSPropertySignature) > :matches(Identifier, PrivateIdentifier).key': check,
      'MethodDefinition[kind="get"] > :matches(Identifier, PrivateIdentifier).key': check,
    };
  },
};

/** What of a browser the page of the dashboard uses. */
const browserGlobals = Object.fromEntries(
  [
    'addEventListener',
    'document',
    'fetch',
    'matchMedia',
    'getComputedStyle',
    'setInterval',
    'setTimeout',
    'EventSource',
    'ResizeObserver',
  ].map((name) => [name, 'readonly']),
);

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', 'docs/', 'demo/site/pages/', 'demo/site/.vitepress/cache/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,

  // ── TypeScript, everywhere: typed rules, strict ──────────────────────────────────────────────────────────────
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked, rxjsX.configs.strict],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { house: { rules: { dollar } } },
    rules: {
      // House rules.
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } }],
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'No enums: a union of string literals.' },
        { selector: 'PropertyDefinition[accessibility="private"]', message: 'Private members are `#private`.' },
        {
          selector: 'MethodDefinition[accessibility="private"][kind!="constructor"]',
          message: 'Private members are `#private`.',
        },
      ],
      eqeqeq: ['error', 'always'],
      'object-shorthand': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        // `import('x')` as a type is how a module that is loaded late is spoken of.
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/consistent-type-exports': ['error', { fixMixedExportsWithInlineTypeSpecifier: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],

      // An `@internal` overload is left out of the published types; a parameter cannot be.
      '@typescript-eslint/unified-signatures': 'off',
      'house/dollar': 'error',
      'rxjs-x/no-exposed-subjects': ['error', { allowProtected: false }],

      // Brackets may say: this key is not known to be there.
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      // Numbers read well in templates; everything else is turned into a string by hand.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => sink.next(x)` is the idiom for callbacks that return nothing.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // `process.env.X || fallback`: an empty string is as good as none.
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true } }],
      // A name that begins with an underscore is a parameter that the signature asks for.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // `$` streams that never error (every `state$`) need no error handler.
      'rxjs-x/no-ignored-error': 'off',
      // A promise of the first value of an empty stream rejects, which is as it should be.
      'rxjs-x/no-ignored-default-value': 'off',
    },
  },

  // ── The library says nothing on the console: it logs ─────────────────────────────────────────────────────────
  { files: ['lib/**'], rules: { 'no-console': 'error' } },

  // ── Where Nest's base classes are extended: their signatures have type parameters, and they may not be installed ────
  {
    files: ['lib/nestjs/microservices/*.ts'],
    rules: {
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-require-imports': ['error', { allow: ['^@nestjs/microservices$'] }],
    },
  },

  // ── Tests ────────────────────────────────────────────────────────────────────────────────────────────────────
  {
    files: ['spec/**/*.ts'],
    rules: {
      // The fake under `expect(fake.method)` is not called, so it does not matter what it is bound to.
      '@typescript-eslint/unbound-method': 'off',
      // A test that is wrong about `!` fails, which is what it is for.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Nest declares its options as classes, and takes object literals.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // The marbles of a test are named for their part in it.
      'house/dollar': 'off',
    },
  },

  // ── Type cases are compiled and never run: values are there for their types, and some lines are wrong on purpose ──
  {
    files: ['spec/types/*.types.ts'],
    rules: {
      'no-self-assign': 'off',
      'no-useless-assignment': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unused-vars': 'off',
    },
  },

  // ── Tools that insist on a default export ────────────────────────────────────────────────────────────────────
  {
    files: ['spec/support/brokers/broker-{setup,teardown}.ts'],
    rules: { 'no-restricted-exports': 'off' },
  },

  // ── The dashboard's page, which runs in a browser as it is ───────────────────────────────────────────────────
  {
    files: ['lib/dashboard/page/*.js', 'demo/dashboard/panel/*.js'],
    languageOptions: { globals: browserGlobals },
    rules: { eqeqeq: ['error', 'always'], 'object-shorthand': 'error', 'prefer-const': 'error' },
  },

  // ── The few files that are plain JavaScript ──────────────────────────────────────────────────────────────────
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: { module: 'writable', process: 'readonly' } },
  },
);
