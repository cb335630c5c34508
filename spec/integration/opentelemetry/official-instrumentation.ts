/** Must be imported before anything that loads amqplib, which the instrumentation patches while it is loaded. */
import { AmqplibInstrumentation } from '@opentelemetry/instrumentation-amqplib';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

export const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();
new AmqplibInstrumentation({ useLinksForConsume: false }).setTracerProvider(provider);
