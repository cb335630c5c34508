import { fakeDelivery as fake, type FakeDelivery as Fake } from 'instance-queue/testing';

/** A fake delivery that writes its settlement into a log, which several can share. */
export interface FakeDelivery extends Fake<string> {
  readonly log: readonly string[];
}

export function fakeDelivery(body: string, log: string[] = [], deliveryCount = 0): FakeDelivery {
  const delivery = fake(body, {
    queue: 'orders',
    deliveryCount,
    onSettled: (how) => {
      if (how !== 'lost') log.push(`${how} ${body}`);
    },
  });
  return Object.assign(delivery, { log });
}

/** One per letter. */
export function deliveries(letters: string, log: string[] = []): FakeDelivery[] {
  return letters.split('').map((letter) => fakeDelivery(letter, log));
}
