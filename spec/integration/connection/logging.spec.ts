import { pino } from 'pino';
import { Connection } from 'instance-queue';
import { runChild } from '../../support/child';
import { closing } from '../../support/closing';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const given = rabbitmqFixture();
const { broker } = given;

type Line = Readonly<Record<string, unknown>>;
/** A logger, and the lines it has written. */
function recordingLogger(level: string): { logger: pino.Logger; lines: Line[] } {
  const lines: Line[] = [];
  const logger = pino({ level, base: null }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  return { logger, lines };
}

describe('logging', () => {
  it('is silent by default', async () => {
    const { stdout, stderr } = await runChild('fault/closing/exit.program.ts', ['busy', broker.url]);
    expect({ stdout, stderr }).toEqual({ stdout: '{"unsettled":1,"unconfirmed":0}', stderr: '' });
  });

  it('goes to the given logger, with constant messages, facts in fields, and the name of the connection', async () => {
    const { logger, lines } = recordingLogger('info');
    const [name, queueName] = [uniqueName(), uniqueName()];
    const client = given.newClient({ name, logger });
    const consumer = client.consumer({ queue: { name: queueName, expires: 5000 } });
    consumer.deliveries$.subscribe();
    const attached = await until(consumer.state$, ({ status }) => status === 'attached');
    await broker.closeConnection(`${name}.consumer`);
    await until(consumer.state$, (state) => state.status === 'attached' && state.epoch === 2);
    await client.close();
    const its = lines.filter(({ connection }) => connection === `${name}.consumer`);
    expect(its.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['connecting', 'connected', 'consumer attached', 'connection lost', 'closing', 'closed']),
    );
    expect(its.find(({ msg }) => msg === 'connected')).toMatchObject({
      level: 30,
      epoch: 1,
      endpoint: expect.any(String) as string,
    });
    const { tag } = attached as { tag: string };
    expect(its.find(({ msg }) => msg === 'consumer attached')).toMatchObject({ tag, queue: queueName, epoch: 1 });
    expect(its.find(({ msg }) => msg === 'connection lost')).toMatchObject({
      level: 40,
      attempt: 1,
      err: { code: 'CONNECTION_LOST', replyCode: 320 },
    });
    expect(lines.every(({ level }) => Number(level) >= 30)).toBe(true);
  });

  it.each([
    ['by the option', { url: broker.url, heartbeat: 1 }],
    ['by the URL, which counts', { url: `${broker.url}?heartbeat=1`, heartbeat: 60 }],
  ])(
    'warns if the event loop is blocked for so long that heartbeats are at risk: heartbeat %s',
    async (_name, options) => {
      const { logger, lines } = recordingLogger('warn');
      const connection = closing(new Connection({ ...options, logger }));
      await connection.connect();
      const end = performance.now() + 1200;
      while (performance.now() < end);
      await eventually(() => lines.length > 0, 3000);
      const warning = lines.find(({ stalled }) => stalled !== undefined);
      expect(warning).toMatchObject({ heartbeat: 1, msg: expect.stringContaining('event loop stood still') as string });
      expect(Number(warning!.stalled)).toBeGreaterThanOrEqual(500);
    },
  );
});
