import { FakeInstanceQueue } from 'instance-queue/testing';
import type { Subscription } from 'rxjs';
import { Watch } from '../../../lib/dashboard/watch';
import type { PageEvent, Present } from '../../../lib/dashboard/view';
import { closeAll, closing } from '../../support/closing';

beforeEach(() => jest.useFakeTimers());
afterEach(async () => {
  jest.useRealTimers();
  await closeAll();
});

/** A page that opens. */
function open(watch: Watch): { readonly present: Present; readonly page: Subscription } {
  const events: PageEvent[] = [];
  const page = watch.event$.subscribe((event) => events.push(event));
  const [first] = events;
  if (first?.[0] !== 'present') throw new Error('The first event is the present.');
  return { present: first[1], page };
}

it('a page that reloads shows the samples from before', () => {
  const watch = new Watch(closing(new FakeInstanceQueue()), 'orders');
  const { page } = open(watch);
  jest.advanceTimersByTime(5000);
  page.unsubscribe();
  jest.advanceTimersByTime(1000);
  const { present, page: reloaded } = open(watch);
  expect(present.points).toHaveLength(10);
  reloaded.unsubscribe();
});

it('a page that opens after a time without pages shows no samples from before: the chart would bridge the time between', () => {
  const watch = new Watch(closing(new FakeInstanceQueue()), 'orders');
  const { page } = open(watch);
  jest.advanceTimersByTime(5000);
  page.unsubscribe();
  jest.advanceTimersByTime(10_000);
  const { present, page: later } = open(watch);
  expect(present.points).toEqual([]);
  later.unsubscribe();
});
