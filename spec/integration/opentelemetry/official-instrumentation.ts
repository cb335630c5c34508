/** Imported before everything that loads amqplib: the instrumentation patches it as it is loaded. */
import { AmqplibInstrumentation } from '@opentelemetry/instrumentation-amqplib';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

export const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();
new AmqplibInstrumentation({ useLinksForConsume: false }).setTracerProvider(provider);
