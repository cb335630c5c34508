/**
 * The surface of the package, one report per entry point, under version control: what changes it has to change the
 * report as well, and is seen. `--renew` writes them, without it they are compared. Reads what `npm run build` wrote.
 */
import { Extractor, ExtractorConfig, ExtractorLogLevel, type ExtractorMessage } from '@microsoft/api-extractor';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entryPoints, type EntryPoint } from './entry-points';

const root = join(__dirname, '..', '..');
const reports = join(__dirname, 'api');

/** What is wrong with it, in the eyes of the tool. */
const LOUD: readonly string[] = [ExtractorLogLevel.Error, ExtractorLogLevel.Warning];

/** Compares (and renews) one report; returns what is wrong. */
function examine({ name, declarations }: EntryPoint, temporary: string, renew: boolean): string[] {
  const wrong: string[] = [];
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, declarations),
      // The declarations are all there is to read.
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'ES2022',
            lib: ['ES2022', 'ESNext.Disposable'],
            module: 'node16',
            moduleResolution: 'node16',
            types: ['node'],
            strict: true,
            skipLibCheck: true,
          },
          include: [join(root, 'dist')],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: reports,
        reportTempFolder: temporary,
        // Also what users cannot name, but meet.
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        // `Emits:` and its like are ours; the doc comments have tests of their own.
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Warning },
          'ae-forgotten-export': { logLevel: ExtractorLogLevel.None },
          'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
          'ae-undocumented': { logLevel: ExtractorLogLevel.None },
        },
      },
    },
  });
  const result = Extractor.invoke(config, {
    localBuild: renew,
    messageCallback: (message: ExtractorMessage) => {
      message.handled = true;
      const { logLevel, text } = message;
      const loud = LOUD.includes(logLevel);
      // What it says of the report itself, and of the compiler's age, we see otherwise.
      if (loud && !/API report|API signature|TypeScript version/i.test(text)) wrong.push(`${name}: ${text}`);
    },
  });
  if (result.apiReportChanged && !renew)
    wrong.push(`${name}: the surface is not what spec/package/api/${name}.api.md says`);
  return wrong;
}

const renew = process.argv.includes('--renew');
const temporary = mkdtempSync(join(tmpdir(), 'instance-queue-api-'));
mkdirSync(reports, { recursive: true });
try {
  const wrong = entryPoints(root).flatMap((entry) => examine(entry, temporary, renew));
  if (wrong.length > 0) {
    process.exitCode = 1;
    console.error(`${wrong.join('\n')}\nIf it was meant: npm run api, and commit the reports.`);
  } else console.log(renew ? 'The reports of the surface are renewed.' : 'The surface is what its reports say.');
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
