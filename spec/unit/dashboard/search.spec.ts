import { Search } from '../../../demo/dashboard/whereabouts';

/** Long enough for a broker to give back what a dead link held. */
const LONG = 60_000;

let search: Search;
beforeEach(() => {
  search = new Search();
  search.attached(true, 0);
});

describe('a confirmed message that has not come', () => {
  it('is on the way, however long, as long as none came that was sent later', () => {
    search.confirm(0, 10);
    expect(search.count(LONG)).toEqual({ onTheWay: 1, sunk: 0, lost: 0 });
  });

  it('is lost when later ones came and the consumer was attached long enough', () => {
    search.confirm(0, 10);
    search.confirm(1, 20);
    search.receive(1);
    expect(search.count(5000)).toEqual({ onTheWay: 1, sunk: 0, lost: 0 });
    expect(search.count(LONG)).toEqual({ onTheWay: 0, sunk: 0, lost: 1 });
  });

  it('is not lost any more when it comes after all', () => {
    search.confirm(0, 10);
    search.confirm(1, 20);
    search.receive(1);
    search.count(LONG);
    search.receive(0);
    expect(search.count(LONG)).toEqual({ onTheWay: 0, sunk: 0, lost: 0 });
  });

  it('is on the way while the consumer is detached, and time to come begins anew when it attaches', () => {
    search.confirm(0, 10);
    search.confirm(1, 20);
    search.receive(1);
    search.attached(false, 30);
    expect(search.count(LONG).lost).toBe(0);
    search.attached(true, LONG);
    search.confirm(2, LONG);
    search.receive(2);
    expect(search.count(LONG + 5000).lost).toBe(0);
    expect(search.count(2 * LONG).lost).toBe(1);
  });

  it('is sunk when it was in a queue that was deleted, also if its confirm came a moment later', () => {
    search.confirm(0, 10);
    search.deleted(20, 2);
    search.confirm(1, 25);
    search.confirm(2, 30);
    search.receive(2);
    expect(search.count(LONG)).toEqual({ onTheWay: 0, sunk: 2, lost: 0 });
  });

  it('stays lost when the queue is deleted afterwards', () => {
    search.confirm(0, 10);
    search.confirm(1, 20);
    search.receive(1);
    search.count(LONG);
    search.deleted(LONG, 2);
    expect(search.count(LONG)).toEqual({ onTheWay: 0, sunk: 0, lost: 1 });
  });

  it('is lost when all is over', () => {
    search.confirm(0, 10);
    search.close();
    expect(search.count(20)).toEqual({ onTheWay: 0, sunk: 0, lost: 1 });
  });
});

it('a message that comes before its confirm is not missing', () => {
  search.receive(0);
  search.confirm(0, 10);
  search.close();
  expect(search.count(20)).toEqual({ onTheWay: 0, sunk: 0, lost: 0 });
});
