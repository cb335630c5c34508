import { Timeline, WINDOW } from '../../../lib/dashboard/timeline';

it('a phase lasts until the next one, and all attempts of one outage are one', () => {
  const timeline = new Timeline();
  timeline.enter({ name: 'up', epoch: 1 }, 1000);
  timeline.enter({ name: 'reconnecting', attempt: 1, cause: 'ECONNRESET' }, 2000);
  timeline.enter({ name: 'reconnecting', attempt: 2, cause: 'ECONNREFUSED' }, 2100);
  timeline.enter({ name: 'up', epoch: 2 }, 2500);
  expect(timeline.spans).toEqual([
    { id: 1, name: 'up', epoch: 1, from: 1000, to: 2000 },
    { id: 2, name: 'reconnecting', attempt: 2, cause: 'ECONNRESET', from: 2000, to: 2500 },
    { id: 3, name: 'up', epoch: 2, from: 2500 },
  ]);
});

it('tells what is new or changed alone', () => {
  const timeline = new Timeline();
  const began = { id: 1, name: 'reconnecting', attempt: 1, from: 1000 };
  expect(timeline.enter({ name: 'reconnecting', attempt: 1 }, 1000)).toEqual([began]);
  expect(timeline.enter({ name: 'reconnecting', attempt: 1 }, 1500)).toEqual([]);
  const explained = { ...began, attempt: 2, cause: 'ECONNREFUSED' };
  expect(timeline.enter({ name: 'reconnecting', attempt: 2, cause: 'ECONNREFUSED' }, 2000)).toEqual([explained]);
  expect(timeline.enter({ name: 'reconnecting', attempt: 2, cause: 'ETIMEDOUT' }, 2500)).toEqual([]);
  const up = { id: 2, name: 'up', epoch: 1, from: 3000 };
  expect(timeline.enter({ name: 'up', epoch: 1 }, 3000)).toEqual([{ ...explained, to: 3000 }, up]);
  expect(timeline.spans).toEqual([{ ...explained, to: 3000 }, up]);
});

it('begins anew with another epoch, though the phase has the same name', () => {
  const timeline = new Timeline();
  timeline.enter({ name: 'up', epoch: 1 }, 1000);
  timeline.enter({ name: 'up', epoch: 2 }, 2000);
  expect(timeline.spans.map(({ epoch, from, to }) => [epoch, from, to])).toEqual([
    [1, 1000, 2000],
    [2, 2000, undefined],
  ]);
});

it('forgets what is too long ago to be shown, and not what still lasts', () => {
  const timeline = new Timeline();
  timeline.enter({ name: 'connecting' }, 0);
  timeline.enter({ name: 'up', epoch: 1 }, 1000);
  timeline.enter({ name: 'reconnecting' }, 2 * WINDOW);
  timeline.enter({ name: 'up', epoch: 2 }, 2 * WINDOW + 50);
  expect(timeline.spans.map(({ name, epoch }) => [name, epoch])).toEqual([
    ['up', 1],
    ['reconnecting', undefined],
    ['up', 2],
  ]);
});
