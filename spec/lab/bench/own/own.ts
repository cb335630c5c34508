import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Figure } from './report';

const PROGRAMS = ['cold-start', 'consumers', 'linear', 'memory'];

/** The measurements of this library alone, as Markdown. Each program runs in a process of its own. */
export async function ownFigures(url: string, scale: number, wanted: string): Promise<string> {
  const figures: Figure[] = [];
  for (const program of PROGRAMS.filter((name) => name.includes(wanted))) {
    console.error(`by itself · ${program}`);
    figures.push(...(await run(program, url, scale)));
  }
  const rows = figures.map(({ what, value }) => `| ${what} | ${value} |`);
  return ['| this library by itself | |', '| --- | --- |', ...rows].join('\n');
}

function run(program: string, url: string, scale: number): Promise<readonly Figure[]> {
  const execArgv = [...process.execArgv, '--expose-gc'];
  const child = fork(join(__dirname, `${program}.ts`), [url, String(scale)], { execArgv });
  return new Promise((resolve, reject) => {
    let figures: readonly Figure[] = [];
    child.once('message', (told) => (figures = told as readonly Figure[]));
    child.once('exit', (code) => {
      if (code === 0) resolve(figures);
      else reject(new Error(`${program} ended with ${String(code)}.`));
    });
  });
}
