import { connect } from 'node:net';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { startCluster, type Cluster } from '../../../compose/local-cluster';
import { localPrograms } from '../../../compose/local-programs';
import { oneReceiver, singleActive } from '../../lab/cluster/scenes';
import { CLOSED, CUT_OFF } from '../../lab/cluster/single-active';
import { spread } from '../../lab/cluster/spread';
import { NODE, inTurns } from '../../lab/cluster/trials';
import { complaints } from '../../lab/cluster/verdict';

// The short form of `npm run cluster`. Forming takes 20 s or so, each node's way back ten; twice and three times that beside
// other tests. The limits of the steps end first, and say which it was.
describe('on a cluster of three nodes', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(await localPrograms((line) => process.stderr.write(`cluster: ${line}\n`)));
  }, 600_000);
  afterAll(async () => {
    await cluster.stop();
  }, 60_000);

  it('clients that are given all endpoints are spread over the nodes', async () => {
    const clients = await spread(cluster, 90);
    // Less than half of a fair share comes by chance once in ten thousand runs.
    expect(Math.min(...clients)).toBeGreaterThan(12);
  });

  it('each node may be killed once, back before the next: nothing is lost, rejected or hung, no gap reaches two seconds', async () => {
    const rows = await oneReceiver(cluster, inTurns(cluster.nodes.length, NODE));
    expect(rows.flatMap(complaints)).toEqual([]);
    expect(rows.map(({ gaps }) => gaps.length)).toEqual([3]);
  }, 600_000);

  it('of two single active consumers one takes over when the other is cut off or closed, and nothing is lost', async () => {
    const rows = await singleActive(cluster, inTurns(2, CUT_OFF, CLOSED));
    expect(rows.flatMap(complaints)).toEqual([]);
    expect(rows.map(({ counts }) => counts.received > 0)).toEqual([true, true]);
  }, 300_000);

  it('nothing is left of the nodes when it is stopped', async () => {
    const folders = cluster.nodes.flatMap(({ handle }) => (handle.how === 'local' ? handle.node.folder : []));
    expect(folders.filter(existsSync)).toHaveLength(3);
    await cluster.stop();
    expect(folders.filter(existsSync)).toEqual([]);
    const answers = await Promise.all(
      cluster.urls.map(async (url) => {
        const socket = connect(Number(new URL(url).port), '127.0.0.1');
        const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
        return error.code;
      }),
    );
    expect(answers).toEqual(['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED']);
  }, 60_000);
});
