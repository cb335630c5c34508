/** `official.program.ts <url> <queue>`: sends and consumes one message under the official instrumentation; writes the spans as JSON. */
import { exporter } from './official-instrumentation';
import { SpanKind, trace } from '@opentelemetry/api';
import { handle } from '../../../lib/operators/handle';
import { InstanceQueue } from '../../../lib/client/instance-queue';

async function main(url: string, name: string): Promise<void> {
  const queue = new InstanceQueue({ url, wire: false });
  const active = await new Promise((resolve) => {
    queue
      .consume({ queue: name })
      .pipe(
        handle(() => {
          resolve(trace.getActiveSpan()?.spanContext().traceId);
        }),
      )
      .subscribe();
    void queue.send({ queue: name, body: 1 });
  });
  await queue.close();
  const spans = exporter.getFinishedSpans().map((span) => ({
    kind: SpanKind[span.kind],
    name: span.name,
    id: span.spanContext().spanId,
    trace: span.spanContext().traceId,
    parent: span.parentSpanContext?.spanId,
  }));
  process.stdout.write(JSON.stringify({ active, spans }));
}

void main(process.argv[2] ?? '', process.argv[3] ?? '');
