import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { runChild } from '../../support/child';
import { closeAll, closing } from '../../support/closing';

const { url } = sharedBroker();
afterEach(closeAll);

interface Told {
  /** The trace that was active in the work. */
  readonly active: string | undefined;
  readonly spans: readonly { kind: string; name: string; id: string; trace: string; parent?: string }[];
}

test('under the official amqplib instrumentation a trace leads from the send to the work', async () => {
  const name = await closing(await Bystander.at(url)).declareQueue();
  const { stdout, stderr } = await runChild('integration/opentelemetry/official.program.ts', [url, name]);
  expect(stderr).toBe('');
  const { active, spans } = JSON.parse(stdout) as Told;
  const sent = spans.find(({ kind }) => kind === 'PRODUCER');
  const worked = spans.find(({ kind }) => kind === 'CONSUMER');
  expect(sent).toBeDefined();
  expect(worked).toMatchObject({ trace: sent?.trace, parent: sent?.id });
  expect(active).toBe(sent?.trace);
});
