/** Prints the scores of a sample of mutants, room by room, and its survivors: `npm run mutation:sample`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

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

/** Rooms whose work is with a broker or a process: their tests are integration tests, which no mutant is run in. */
const BROKER_BOUND = ['cli', 'dashboard', 'dead-letters', 'nestjs', 'partitioned', 'tools'];
const [, , path = 'node_modules/.cache/mutation/sample.json', survivorsPath] = process.argv;

const roomOf = (file: string): string => /lib\/(amqp\/wire|[^/]+(?=\/))/.exec(file)?.[1] ?? 'lib';

interface Room {
  /** In the sample or not. */
  mutants: number;
  killed: number;
  survived: number;
  /** Reached by no fast test. */
  unreached: number;
}

const sampled = ({ killed, survived, unreached }: Room): number => killed + survived + unreached;
const scoreOf = (room: Room): number => room.killed / Math.max(1, sampled(room));

if (!existsSync(path)) throw new Error(`There is no report at ${path}: run the sample first.`);
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
    survivors.push(`${file}:${String(start.line)}:${String(start.column)} → ${replacement.replace(/\s+/g, ' ')}${how}`);
    // As sample-checker.mjs names it, whose lines and columns count from 0.
    const place = ({ line, column }: Place): string => `${String(line - 1)}:${String(column - 1)}`;
    names.push(`${file} ${place(start)}-${place(end)} ${replacement}`);
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
const print = (title: string, chosen: readonly [string, Room][]): void => {
  process.stdout.write(`\n${title.padEnd(16)} mutants  sampled unreached survived   score\n`);
  for (const [name, room] of chosen) {
    const counts = [room.mutants, sampled(room), room.unreached, room.survived];
    const columns = [...counts.map(String), percent(scoreOf(room))];
    process.stdout.write(`${name.padEnd(15)}${columns.map((column) => column.padStart(9)).join('')}\n`);
  }
  const mutants = chosen.reduce((sum, [, room]) => sum + room.mutants, 0);
  // Each room counts by its size, not by its share of the sample.
  const score = chosen.reduce((sum, [, room]) => sum + room.mutants * scoreOf(room), 0) / Math.max(1, mutants);
  process.stdout.write(`${'all of these'.padEnd(15)}${String(mutants).padStart(9)}${percent(score).padStart(36)}\n`);
};
const sorted = [...rooms].sort(([a], [b]) => a.localeCompare(b));
print(
  'room',
  sorted.filter(([name]) => !BROKER_BOUND.includes(name)),
);
print(
  'with a broker',
  sorted.filter(([name]) => BROKER_BOUND.includes(name)),
);
process.stdout.write(
  `\n${String(survivors.length)} survive the fast tests (a seed of the simulator, or an integration test, may kill them):\n${survivors.join('\n')}\n`,
);
if (survivorsPath !== undefined) writeFileSync(survivorsPath, JSON.stringify(names));
