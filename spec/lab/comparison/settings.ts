import { parseArgs } from 'node:util';
import { CLIENTS, type ClientName } from './clients';
import { FAULTS, type FaultName } from './faults/all';

export interface Settings {
  readonly clients: readonly ClientName[];
  readonly faults: readonly FaultName[];
  readonly repeat: number;
}

export function settings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      clients: { type: 'string' },
      faults: { type: 'string' },
      repeat: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
    },
  });
  const repeat = Number(values.repeat);
  if (!Number.isInteger(repeat) || repeat < 1) {
    throw new Error(`Expected --repeat to be an integer from 1, got ${values.repeat}`);
  }
  return {
    clients: chosen('--clients', values.clients ?? (values.quick ? 'ours' : undefined), namesOf(CLIENTS)),
    faults: chosen('--faults', values.faults, namesOf(FAULTS)),
    repeat,
  };
}

function chosen<Name extends string>(option: string, list: string | undefined, names: readonly Name[]): Name[] {
  if (list === undefined) return [...names];
  return list.split(',').map((wanted) => {
    const name = names.find((one) => one === wanted);
    if (name === undefined) throw new Error(`Expected ${option} to name some of ${names.join(', ')}, got ${wanted}`);
    return name;
  });
}

function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(table).filter((key): key is Name => key in table);
}
