import { Ledger } from '../../../compose/ledger';

describe('the ledger of a fault run', () => {
  const at = (...sent: number[]): Ledger => {
    const ledger = new Ledger(() => 0);
    for (const time of sent) ledger.send(time);
    return ledger;
  };

  it('calls lost what was confirmed and never came, and open what is not settled', () => {
    const ledger = at(1, 2, 3, 4);
    ledger.confirm(0, 10);
    ledger.receive(0, 11);
    ledger.confirm(1, 10);
    ledger.fail(2, new Error('no'));
    expect(ledger.counts()).toMatchObject({ sent: 4, confirmed: 2, received: 1, lost: 1, failed: 1, open: 1, sunk: 0 });
    expect(ledger.settled).toBe(false);
    ledger.confirm(3, 12);
    expect(ledger.settled).toBe(true);
  });

  it('tells what went down with a deleted queue from what was sent or confirmed when it was long gone', () => {
    const ledger = at(90, 99, 101);
    ledger.confirm(0, 105);
    ledger.confirm(1, 5000);
    ledger.confirm(2, 105);
    expect(ledger.counts(0, 3, 100)).toMatchObject({ lost: 2, sunk: 1 });
  });

  it('counts copies, and those that came under another messageId', () => {
    const ledger = at(1, 2);
    for (const id of ['a', 'a', 'a']) ledger.receive(0, 5, id);
    for (const id of ['b', 'c']) ledger.receive(1, 5, id);
    expect(ledger.counts()).toMatchObject({ received: 2, duplicates: 3, renamed: 1 });
  });

  it('knows the first new message that was sent since one moment and came after another, also when it came before it was asked', async () => {
    const ledger = at(10, 20, 30, 40);
    const next = ledger.received(20, 100);
    ledger.receive(1, 50);
    ledger.receive(0, 110);
    ledger.receive(1, 115);
    ledger.receive(3, 130);
    ledger.receive(2, 140);
    await expect(next).resolves.toBe(130);
    await expect(ledger.received(20, 100)).resolves.toBe(130);
    await expect(ledger.received(20, 50)).resolves.toBe(50);
    expect(ledger.receivedBetween(50, 130)).toBe(2);
  });
});
