import type { InstanceQueue } from 'instance-queue';
import type { Universe } from '../../lib/testing/simulation/universe';
import { bodyIn } from './body';
import { DelayOracle } from './delay-oracle';
import { DeliveryOracle } from './delivery-oracle';
import { Findings } from './findings';
import { LetterOracle } from './letter-oracle';
import { OptionOracle } from './option-oracle';
import { DEAD, filterOf, MOVED, timesOut, type Plan } from './plan';
import { SendOracle } from './send-oracle';
import { StateOracle } from './state-oracle';
import { StreamOracle } from './stream-oracle';
import { WorkOracle } from './work-oracle';

/**
 * Judges a run, and knows nothing of the library: it sees what the app sees, and what happens at the broker. Every rule has a
 * name.
 */
export class Oracle {
  readonly findings: Findings;
  readonly sends: SendOracle;
  readonly work: WorkOracle;
  readonly states: StateOracle;
  readonly streams: StreamOracle;
  readonly deliveries: DeliveryOracle;
  readonly delays: DelayOracle;
  readonly options: OptionOracle;
  readonly letters: LetterOracle;
  readonly #universe: Universe;

  constructor(universe: Universe, plan: Plan) {
    const findings = new Findings(universe);
    this.findings = findings;
    this.#universe = universe;
    this.sends = new SendOracle(universe, plan, findings);
    this.work = new WorkOracle(plan, findings, (id) => this.sends.at(id));
    this.states = new StateOracle(universe, plan, findings);
    this.streams = new StreamOracle(
      universe,
      plan,
      findings,
      (body) => body && filterOf(this.sends.sentAs(body.id)?.plan, body.id),
    );
    this.letters = new LetterOracle(universe, plan, findings);
    this.options = new OptionOracle(universe, plan, findings, (id) => this.sends.sentAs(id)?.plan);
    this.deliveries = new DeliveryOracle(universe, plan, findings, this.options, (id) => this.sends.sentAs(id)?.plan);
    this.delays = new DelayOracle(universe, plan, findings, (id) => this.sends.sentAs(id));
    const note = (event: string): void => {
      findings.note(event);
    };
    universe.broker.vhost.observer = {
      published: (message, outcome) => {
        const { content, routingKey, exchange } = message;
        const body = bodyIn(content);
        note(
          `broker: ${exchange}/${routingKey.startsWith('amq.') ? 'reply' : routingKey} gets ${String(body?.id)}: ${outcome}`,
        );
        if (!body) return;
        const isLetter = this.letters.hasRead(body.id) && !routingKey.includes('.retry.');
        const copy = isLetter || routingKey.includes('.retry.') || routingKey === MOVED;
        if (isLetter) this.letters.copied(body.id, outcome);
        this.sends.published(body, outcome, copy, message);
        this.deliveries.published(body, message, outcome, copy);
        this.delays.published(body, message, copy);
        this.options.published(body, message, copy);
      },
      delivered: (_, tag, message, queue, consumer) => {
        const body = bodyIn(message.content);
        note(`broker: ${queue} delivers ${String(body?.id)} as ${String(tag)}`);
        if (!body) return;
        // Without acks the broker forgets it now.
        if (consumer?.options.noAck) this.sends.at(body.id).gone++;
        this.letters.delivered(body.id, queue);
        this.deliveries.delivered(body, message, queue, consumer);
        this.delays.delivered(body);
      },
      settled: (_, tag, message, how, queue) => {
        const body = bodyIn(message.content);
        note(`broker: ${how} of ${String(body?.id)}, tag ${String(tag)}`);
        if (this.streams.has(queue)) this.streams.settled(message, how, queue);
        else if (queue === DEAD) {
          if (body && this.letters.settled(body.id, how)) this.sends.at(body.id).gone++;
        } else if (body) this.work.settled(body, how);
      },
      died: (message, death, taken) => {
        const body = bodyIn(message.content);
        this.deliveries.died(message, death.queue);
        if (!body) return;
        this.sends.died(body, death, taken);
        this.delays.died(body, message, death);
      },
      lost: (message, queue) => {
        const body = bodyIn(message.content);
        note(`broker: ${queue} loses ${String(body?.id)}`);
        if (body && this.options.mayLose(body, message, queue)) this.sends.at(body.id).gone++;
        this.deliveries.died(message, queue);
      },
      declared: (queue, passive) => {
        this.options.declared(queue, passive);
      },
      refused: (refusal) => {
        note(`broker: refuses, ${refusal.message}`);
        if (refusal.text.includes('unknown delivery tag') && !timesOut(plan)) {
          findings.violate('settled-once-on-its-channel', refusal.message);
        }
      },
    };
  }

  /** What the app sees of its client. */
  watch(client: InstanceQueue): void {
    this.states.watch(client);
    this.sends.watch(client);
  }

  /** The app closes its client now. */
  closes(): void {
    this.sends.closes();
    this.delays.closes();
  }

  /** All faults are over, and everything had time to mend. */
  calm(client: InstanceQueue): void {
    const { health } = client;
    const stopped = health.consumers.filter(({ status }) => status === 'stopped');
    if (health.status !== 'up' && stopped.length === 0 && health.connections.consumer.status !== 'disconnected') {
      const producers = health.producers.map(({ status }) => status).join();
      this.findings.violate(
        'nothing-is-stuck',
        `health is ${health.status} (${health.connections.producer.status}, ${health.connections.consumer.status}, producers ${producers})`,
      );
    }
    if (health.consumers.some(({ status }) => status === 'paused')) {
      this.findings.violate('nothing-is-stuck', 'a consumer is still paused');
    }
    const { broker } = this.#universe;
    this.streams.calm();
    this.delays.calm();
    this.options.calm();
    this.letters.calm();
    this.deliveries.calm();
    for (const { name, consumers: known } of broker.vhost.queues) {
      const consumers = known.length;
      const attached = health.consumers.filter((one) => one.status === 'attached' && one.queueName === name).length;
      if (attached > consumers) {
        const what = `${String(attached)} are attached to ${name}, the broker knows ${String(consumers)}`;
        this.findings.violate('an-attached-consumer-is-at-the-broker', what);
      }
    }
    for (const { name, out, consumers } of broker.vhost.queues) {
      if (out.size > 0 && client.metrics.inFlight === 0) {
        this.findings.violate(
          'nothing-is-stuck',
          `${String(out.size)} deliveries of ${name} are settled here and not at the broker (${String(consumers.length)} consumers)`,
        );
      }
    }
  }

  closed(client: InstanceQueue, waiting: number): void {
    const { metrics, state } = client;
    if (state.producer.status !== 'closed' || state.consumer.status !== 'closed') {
      this.findings.violate('close-ends-all', `${state.producer.status}, ${state.consumer.status}`);
    }
    if (metrics.inFlight !== 0 || metrics.outbox.queued !== 0 || metrics.outbox.unconfirmed !== 0) {
      this.findings.violate('nothing-is-left-after-close', JSON.stringify(metrics));
    }
    const settled = metrics.acked + metrics.requeued + metrics.released + metrics.rejected + metrics.lost;
    const { unsettled } = this.deliveries;
    if (metrics.delivered !== settled + unsettled) {
      this.findings.violate(
        'every-delivery-is-counted-once',
        `${String(metrics.delivered)} delivered, ${String(unsettled)} without acks, ${String(settled)} settled or lost`,
      );
    }
    if (waiting > 0) this.findings.violate('no-timer-is-left-after-close', `${String(waiting)} timers`);
    if (this.#universe.broker.vhost.queues.some(({ consumers, out }) => consumers.length + out.size > 0)) {
      this.findings.violate('nothing-is-left-after-close', 'the broker still has consumers or unsettled deliveries');
    }
    this.sends.judge();
    this.work.judge(metrics.acked);
    this.options.judge(metrics.undecodable);
  }
}
