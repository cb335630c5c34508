import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { diagnose, projectConfig } from '../support/compiler';

jest.setTimeout(120_000);

describe('types', () => {
  const { fileNames, options, errors } = projectConfig();

  /**
   * The tests are only transpiled when they run, so this is where type errors show, in every file of the project. The
   * cases of `*.types.ts` are among them: an `@ts-expect-error` over a line that compiles is an error as well.
   */
  it('the whole project compiles', () => {
    expect(errors).toEqual([]);
    expect(diagnose(fileNames, options)).toEqual([]);
  });

  it('every file of cases is part of the project', () => {
    const cases = readdirSync(__dirname).filter((name) => name.endsWith('.types.ts'));
    expect(cases).not.toEqual([]);
    expect(fileNames).toEqual(expect.arrayContaining(cases.map((name) => join(__dirname, name))));
  });
});
