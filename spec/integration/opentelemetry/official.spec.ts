import { runChild } from '../../support/child';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';

const given = rabbitmqFixture();

interface Output {
  /** The trace that was active in the handler. */
  readonly active: string | undefined;
  readonly spans: readonly { kind: string; name: string; id: string; trace: string; parent?: string }[];
}

test('under the official amqplib instrumentation a trace goes from the send to the handler', async () => {
  const { url, bystander } = given;
  const queue = await bystander.declareQueue();
  const { stdout, stderr } = await runChild('integration/opentelemetry/official.program.ts', [url, queue]);
  expect(stderr).toBe('');
  const { active, spans } = JSON.parse(stdout) as Output;
  const sent = spans.find(({ kind }) => kind === 'PRODUCER');
  const worked = spans.find(({ kind }) => kind === 'CONSUMER');
  expect(sent).toBeDefined();
  expect(worked).toMatchObject({ trace: sent?.trace, parent: sent?.id });
  expect(active).toBe(sent?.trace);
});
