import { InstanceQueueError } from 'instance-queue';
import { ignoreElements, tap, type Observable } from 'rxjs';
import { deadLetters } from '../../lib/tools';
import type { AppRun } from './app-run';
import { DEAD, MOVED, type LettersPlan } from './plan';

/** Somebody looks after the dead letters once, while faults go on. */
export function lookAfterLetters(app: AppRun, { at, does, limit, nowhere }: LettersPlan): void {
  app.at(at, () => {
    const { findings, letters: oracle } = app.oracle;
    const letters = deadLetters(app.client, DEAD);
    const options = limit === undefined ? {} : { limit };
    let done = 0;
    const told = tap((report: { readonly done: number }) => (done = report.done));
    const doing = (): Observable<unknown> => {
      switch (does) {
        case 'groups':
          return letters.groups(options);
        case 'replay':
          return letters.replay(options).pipe(told);
        case 'move':
          return letters.move({ queue: nowhere ? 'nowhere' : MOVED }, options).pipe(told);
        case 'drop':
          return letters.drop(options).pipe(told);
      }
    };
    const ended = new Promise<void>((resolve) => {
      const ends = (how: string): void => {
        findings.note(`app: ${does} of letters ${how}, ${String(done)} done`);
        oracle.reports(done);
        resolve();
      };
      doing()
        .pipe(ignoreElements())
        .subscribe({
          complete: () => {
            ends('completes');
          },
          error: (error: unknown) => {
            ends(`errors: ${String(error)}`);
            if (!(error instanceof InstanceQueueError)) {
              findings.violate('errors-are-for-people', `${does} of letters errors with ${String(error)}`);
            }
          },
        });
    });
    app.began(ended);
  });
}
