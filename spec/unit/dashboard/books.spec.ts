import { Books } from '../../../demo/dashboard/books';

it('counts each message once, whatever is put away meanwhile, and every later copy as a duplicate', () => {
  const books = new Books();
  const total = 12_000;
  for (let i = 0; i < total; i++) {
    const n = books.send();
    books.confirm(n);
    expect(books.receive(n)).toBe(true);
    if (i % 1000 === 0) books.balance();
  }
  expect(books.receive(0)).toBe(false);
  expect(books.receive(total - 1)).toBe(false);
  const all = { sent: total, confirmed: total, received: total, duplicates: 2, failed: 0, open: 0 };
  expect(books.balance()).toEqual({ ...all, onTheWay: 0, sunk: 0, lost: 0 });
});

it('keeps what is open, refused and missing in sight, also far back', () => {
  const books = new Books();
  const [open, refused, missing] = [books.send(), books.send(), books.send()];
  for (let i = 0; i < 6000; i++) {
    const n = books.send();
    books.confirm(n);
    books.receive(n);
  }
  books.fail(refused, new Error('no'));
  books.confirm(missing);
  books.balance();
  expect(books.balance()).toMatchObject({
    sent: 6003,
    confirmed: 6001,
    received: 6000,
    failed: 1,
    open: 1,
    onTheWay: 1,
  });
  books.confirm(open);
  books.close();
  expect(books.balance()).toMatchObject({ open: 0, lost: 2 });
});
