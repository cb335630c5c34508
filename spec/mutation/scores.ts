import { readFileSync, writeFileSync } from 'node:fs';

interface Place {
  readonly line: number;
  readonly column: number;
}
interface Mutant {
  readonly status: 'Killed' | 'Timeout' | 'Survived' | 'NoCoverage' | 'CompileError' | 'RuntimeError' | 'Ignored';
  readonly location: { readonly start: Place; readonly end: Place };
  readonly replacement?: string;
}
interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly Mutant[] }>>;
}

const roomOf = (file: string): string => /lib\/(amqp\/wire|[^/]+(?=\/))/.exec(file)?.[1] ?? 'lib';

interface Room {
  /** Tested or not. */
  mutants: number;
  killed: number;
  survived: number;
  /** Reached by no fast test. */
  unreached: number;
}

const tested = ({ killed, survived, unreached }: Room): number => killed + survived + unreached;
const scoreOf = (room: Room): number => room.killed / Math.max(1, tested(room));

/**
 * Prints the scores of a report, room by room, and its survivors.
 *
 * @param namesPath where the names of the survivors go, as sample-checker.mjs reads them
 */
export function printScores(path: string, namesPath: string): void {
  const { files } = JSON.parse(readFileSync(path, 'utf8')) as Report;
  const rooms = new Map<string, Room>();
  const survivors: string[] = [];
  const names: string[] = [];
  for (const [file, { mutants }] of Object.entries(files)) {
    const name = roomOf(file);
    const room = rooms.get(name) ?? { mutants: 0, unreached: 0, killed: 0, survived: 0 };
    rooms.set(name, room);
    for (const { status, location, replacement = '' } of mutants) {
      if (status === 'Ignored') continue;
      room.mutants++;
      if (status === 'Killed' || status === 'Timeout') room.killed++;
      if (status !== 'Survived' && status !== 'NoCoverage') continue;
      room[status === 'Survived' ? 'survived' : 'unreached']++;
      const { start, end } = location;
      const how = status === 'Survived' ? '' : ' (reached by no test)';
      survivors.push(
        `${file}:${String(start.line)}:${String(start.column)} → ${replacement.replace(/\s+/g, ' ')}${how}`,
      );
      // Stryker counts lines and columns from 1 in reports, and from 0 elsewhere.
      const place = ({ line, column }: Place): string => `${String(line - 1)}:${String(column - 1)}`;
      names.push(`${file} ${place(start)}-${place(end)} ${replacement}`);
    }
  }
  const sorted = [...rooms].sort(([a], [b]) => a.localeCompare(b));
  process.stdout.write(`\n${[...table(sorted), '', 'survivors:', ...survivors].join('\n')}\n`);
  writeFileSync(namesPath, JSON.stringify(names));
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function* table(rooms: readonly (readonly [string, Room])[]): Generator<string> {
  yield 'room            mutants   tested unreached survived    score';
  for (const [name, room] of rooms) {
    const counts = [room.mutants, tested(room), room.unreached, room.survived];
    const columns = [...counts.map(String), percent(scoreOf(room))];
    yield `${name.padEnd(14)}${columns.map((column) => column.padStart(9)).join('')}`;
  }
  const mutants = rooms.reduce((sum, [, room]) => sum + room.mutants, 0);
  // Each room counts by its size, not by its share of a sample.
  const score = rooms.reduce((sum, [, room]) => sum + room.mutants * scoreOf(room), 0) / Math.max(1, mutants);
  yield `${'all of these'.padEnd(14)}${String(mutants).padStart(9)}${percent(score).padStart(36)}`;
}
