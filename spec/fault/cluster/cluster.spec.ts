import { InstanceQueue, type QueueSpec } from 'instance-queue';
import { connect } from 'node:net';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { startCluster, type Cluster } from '../../../compose/local-cluster';
import { localPrograms } from '../../../compose/local-programs';
import { confirmingWithin, overACluster } from '../../lab/delay/over-a-cluster';
import { complaint, randomDelays } from '../../lab/delay/random-delays';
import { oneReceiver, singleActive } from '../../lab/cluster/scenes';
import { CLOSED, CUT_OFF } from '../../lab/cluster/single-active';
import { spread } from '../../lab/cluster/spread';
import { NODE, inTurns } from '../../lab/cluster/trials';
import { complaints } from '../../lab/cluster/verdict';
import { numbers } from '../../support/numbers';
import { uniqueName } from '../../support/unique-name';

// The short form of `npm run cluster`. Forming the cluster takes about 20 s, the restart of a node about 10 s, and two to three times
// as long beside other tests. The limits of the steps are shorter, so that they name the step that failed.
describe('on a cluster of three nodes', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const programs = await localPrograms((line) => process.stderr.write(`cluster: ${line}\n`));
    // RabbitMQ 3.10 may need it for delayed messages that were on their way when a node was lost, and takes three minutes by default.
    cluster = await startCluster(programs, confirmingWithin(3000));
  }, 600_000);
  afterAll(async () => {
    await cluster.stop();
  }, 60_000);

  it('clients with all endpoints are spread over the nodes', async () => {
    const clients = await spread(cluster, 90);
    // By chance, less than half of a fair share occurs once in ten thousand runs.
    expect(Math.min(...clients)).toBeGreaterThan(12);
  });

  describe.each(['quorum', 'stream'] as const)('a %s queue has', (type) => {
    /** Declares queues on the first node, one after the other, and gives the leader and the number of replicas of each. */
    const placed = async (
      count: number,
      spec: Omit<QueueSpec, 'name'>,
    ): Promise<readonly (readonly [string, number])[]> => {
      await using client = new InstanceQueue(cluster.urls[0]!);
      const names = numbers(count).map((i) => uniqueName(String(i)));
      for (const name of names) await client.admin.declare({ queues: [{ ...spec, name, type }] });
      const listed = await cluster.nodes[0]!.ctl(
        'list_queues',
        '--silent',
        '--no-table-headers',
        'name',
        'leader',
        'members',
      );
      for (const queue of names) await client.admin.delete({ queue });
      const rows = listed.split('\n').map((line) => line.split('\t'));
      return names.map((name) => {
        const [, leader = '', members = ''] = rows.find(([one]) => one === name) ?? [];
        return [leader, members.split(',').length];
      });
    };

    it('leaders on all nodes with `leaderLocator: balanced`, and on that of its client with `client-local`', async () => {
      const balanced = await placed(6, { leaderLocator: 'balanced', initialGroupSize: 3 });
      expect(new Set(balanced.map(([leader]) => leader)).size).toBe(3);
      const local = await placed(3, { leaderLocator: 'client-local', initialGroupSize: 3 });
      expect(new Set(local.map(([leader]) => leader)).size).toBe(1);
    });

    it.each([1, 3])('%d replicas with that `initialGroupSize`', async (initialGroupSize) => {
      expect(await placed(1, { initialGroupSize })).toEqual([[expect.stringContaining('@'), initialGroupSize]]);
    });
  });

  it('when each node is killed and restarted in turn, nothing is lost, rejected or hung, and no gap reaches two seconds', async () => {
    const rows = await oneReceiver(cluster, inTurns(cluster.nodes.length, NODE));
    expect(rows.flatMap(complaints)).toEqual([]);
    expect(rows.map(({ gaps }) => gaps.length)).toEqual([3]);
  }, 600_000);

  it('of two single active consumers one takes over when the other is cut off or closed, and nothing is lost', async () => {
    const rows = await singleActive(cluster, inTurns(2, CUT_OFF, CLOSED));
    expect(rows.flatMap(complaints)).toEqual([]);
    expect(rows.map(({ counts }) => counts.received > 0)).toEqual([true, true]);
  }, 300_000);

  it('no delayed message is lost or early while each node is killed once', async () => {
    const lateness = await overACluster(cluster, randomDelays(300, 100, 10_000), {
      rate: 15,
      patience: 240_000,
      say: (line) => process.stderr.write(`cluster: ${line}\n`),
    });
    // How late, is for `npm run delays -- cluster`.
    expect(complaint('cluster', { ...lateness, p99: 0 })).toEqual([]);
  }, 480_000);

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
