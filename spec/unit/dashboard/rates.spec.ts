import type { Metrics } from 'instance-queue';
import { Rates } from '../../../lib/dashboard/rates';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

const counted = (sent: number, confirmed: number, delivered: number, queued = 0, inFlight = 0): Metrics => ({
  ...({} as Metrics),
  sent,
  confirmed,
  delivered,
  outbox: { queued, unconfirmed: 0, bytes: 0 },
  inFlight,
});

it('counters become messages a second, to a tenth, since the point before; gauges stay what they are', async () => {
  const rates = new Rates(counted(100, 90, 80));
  await later(2000);
  const point = { at: Date.now(), sent: 10, confirmed: 5.5, delivered: 0.5, queued: 7, inFlight: 3 };
  expect(rates.next(counted(120, 101, 81, 7, 3))).toEqual(point);
  await later(300);
  expect(rates.next(counted(121, 101, 82, 6, 2))).toEqual({
    at: Date.now(),
    sent: 3.3,
    confirmed: 0,
    delivered: 3.3,
    queued: 6,
    inFlight: 2,
  });
});

it('two points at once are no division by nothing', () => {
  const rates = new Rates(counted(0, 0, 0));
  expect(rates.next(counted(2, 1, 0))).toMatchObject({ sent: 2000, confirmed: 1000, delivered: 0 });
});
