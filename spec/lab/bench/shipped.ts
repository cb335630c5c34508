import { createRequire } from 'node:module';

const load = createRequire(__filename);

/** This library as it is published, like its peers: the build in `dist/`, which `npm run bench` creates first. */
export const { Connection, Consumer, Producer, handle, publish } = load(
  '../../../dist',
) as typeof import('instance-queue');
