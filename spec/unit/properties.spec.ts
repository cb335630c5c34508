import { prioritySuffix } from '../../lib/properties';

it('messages of each priority wait in a queue of their own, those above the highest of quorum queues in one', () => {
  const names = [undefined, 0, 1, 30, 31, 32, 255].map(prioritySuffix);
  expect(names).toEqual(['', '.p0', '.p1', '.p30', '.p31', '.p31', '.p31']);
});
