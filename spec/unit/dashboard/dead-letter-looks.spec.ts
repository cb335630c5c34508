import { NEVER, of, Subject, throwError } from 'rxjs';
import { DeadLetterLooks, type HasDeadLetters } from '../../../lib/dashboard/view';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

type Groups = ReturnType<HasDeadLetters['groups']>;
const found = (count: number) => ({ found: count, read: count, groups: [], others: 0 });
/** A dead-letter queue whose looks end as told, each of which is counted. */
function letters(name: string, look: () => Groups) {
  const groups = jest.fn(look);
  return { name, groups };
}

describe('looks at dead letters', () => {
  it('are one look for all who ask meanwhile, and in the five seconds after it', async () => {
    const end = new Subject<ReturnType<typeof found>>();
    const queue = letters('dead', () => end);
    const looks = new DeadLetterLooks([queue]);
    const first = looks.look();
    await later(60_000);
    const second = looks.look();
    end.next(found(1));
    end.next(found(2));
    end.complete();
    expect(await first).toEqual([{ name: 'dead', ...found(2) }]);
    expect(await second).toEqual(await first);
    await later(4900);
    expect(await looks.look()).toEqual(await first);
    expect(queue.groups).toHaveBeenCalledTimes(1);
    await later(200);
    void looks.look();
    expect(queue.groups).toHaveBeenCalledTimes(2);
  });

  it('say of each queue by itself why it could not be looked at, and look again', async () => {
    const none = letters('none', () => throwError(() => new Error('there is no queue `none`')));
    const dead = letters('dead', () => of(found(3)));
    const looks = new DeadLetterLooks([none, dead]);
    const answer = [
      { name: 'none', error: 'there is no queue `none`' },
      { name: 'dead', ...found(3) },
    ];
    expect(await looks.look()).toEqual(answer);
    await later(5100);
    expect(await looks.look()).toEqual(answer);
    expect(none.groups).toHaveBeenCalledTimes(2);
  });

  it('begin with the first who asks', async () => {
    const queue = letters('dead', () => NEVER);
    new DeadLetterLooks([queue]);
    await later(60_000);
    expect(queue.groups).not.toHaveBeenCalled();
  });
});
