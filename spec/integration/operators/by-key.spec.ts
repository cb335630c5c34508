import { BehaviorSubject, type Observable, map, timer } from 'rxjs';
import { handle, type Message } from 'instance-queue';
import { collect } from '../../support/collect';
import { cutUntil } from '../../support/cut-until';
import { consumingFixture } from '../../support/fixtures/consuming';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

interface Step {
  readonly order: string;
  readonly step: number;
}

describe('handling by key', () => {
  const given = consumingFixture();

  it('keeps the order of each key, and works on several keys at once, while links are cut', async () => {
    const { bystander, newClient, proxy, queue } = given;
    const [orders, steps] = [7, 60];
    const client = newClient({ reconnect: { min: 5, max: 50 } });
    const running = new Map<string, number>();
    const ended = new Map<string, number[]>();
    const clashes: Step[] = [];
    let atOnce = 0;
    const work = ({ body }: Message<Step>): Observable<number> => {
      const { order, step } = body;
      if (running.has(order)) clashes.push(body);
      running.set(order, step);
      atOnce = Math.max(atOnce, running.size);
      return timer((step * 7) % 4).pipe(map(() => step));
    };
    client
      .consume<Step>({ queue, prefetch: 50 })
      .pipe(handle(work, { key: ({ body }) => body.order }))
      .subscribe(({ message: { body }, value }) => {
        running.delete(body.order);
        if (value === undefined) return;
        const done = ended.get(body.order) ?? [];
        if (!done.includes(value)) ended.set(body.order, [...done, value]);
      });
    const inOrder = Array.from({ length: steps }, (_, step) => step);
    for (let step = 0; step < steps; step += 20) {
      const part = inOrder.slice(step, step + 20);
      const all = part.flatMap((one) => Array.from({ length: orders }, (_, i) => ({ order: `o${i}`, step: one })));
      await bystander.put(queue, ...all);
      await eventually(() => ended.get('o0')?.includes(step));
      await cutUntil(proxy, async () => (await bystander.count(queue)).consumers === 0);
    }
    const whole = (): boolean => ended.size === orders && [...ended.values()].every((done) => done.length === steps);
    await eventually(whole);
    expect([...ended.values()]).toEqual(Array.from({ length: orders }, () => inOrder));
    expect(clashes).toEqual([]);
    expect(atOnce).toBeGreaterThan(1);
    expect(client.metrics.reconnects).toBeGreaterThan(0);
  });

  it('follows a limit that changes while it runs', async () => {
    const { bystander, newClient, queue } = given;
    await bystander.put(queue, ...numbers(30));
    const concurrency = new BehaviorSubject(0);
    const started: number[] = [];
    const gate = new BehaviorSubject(false);
    const client = newClient();
    const work = ({ body }: Message<number>): Promise<void> =>
      new Promise((resolve) => {
        started.push(body);
        gate.subscribe((open) => {
          if (open) resolve();
        });
      });
    const { values } = collect(client.consume<number>({ queue, prefetch: 10 }).pipe(handle(work, { concurrency })));
    await eventually(() => client.metrics.inFlight === 10);
    expect(started).toHaveLength(0);
    concurrency.next(3);
    expect(started).toHaveLength(3);
    concurrency.next(5);
    expect(started).toHaveLength(5);
    concurrency.next(1);
    gate.next(true);
    await eventually(() => values.length === 30);
    expect(started).toEqual(numbers(30));
  });
});
