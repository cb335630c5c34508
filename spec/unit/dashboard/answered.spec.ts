import { createServer } from 'node:http';
import { dashboard, type DashboardOptions } from 'instance-queue/dashboard';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { Subject } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { listening } from '../../support/listening';

afterEach(closeAll);

/** The status with which a request of this path was answered in the middle of the dashboard's work, by `timeout` of the app. */
async function answeredBefore(path: string, options: DashboardOptions, goOn: () => void): Promise<number> {
  const page = dashboard(closing(new FakeInstanceQueue()), options);
  const server = createServer((request, response) => {
    page(request, response);
    // A turn later the dashboard waits for `authorize`, or for the dead letters.
    setImmediate(() => {
      response.writeHead(503).end();
      goOn();
    });
  });
  const base = await listening(server);
  const { status } = await fetch(`${base}/${path}`);
  return status;
}

describe('a request that the app answers itself, because the dashboard took too long,', () => {
  it.each([
    ['', true],
    ['main.js', true],
    ['events', true],
    ['', false],
  ])('is left alone when `authorize` answers: /%s, %p', async (path, allowed) => {
    let goOn: (allowed: boolean) => void = () => undefined;
    const authorize = (): Promise<boolean> => new Promise((resolve) => (goOn = resolve));
    expect(
      await answeredBefore(path, { authorize }, () => {
        goOn(allowed);
      }),
    ).toBe(503);
  });

  it('is left alone when the dead letters have been looked at', async () => {
    const groups$ = new Subject<never>();
    const deadLetters = [{ name: 'orders.dead', groups: () => groups$ }];
    expect(
      await answeredBefore('dead-letters', { deadLetters }, () => {
        groups$.error(new Error('no connection'));
      }),
    ).toBe(503);
  });
});
