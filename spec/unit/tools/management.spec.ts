import { OptionsError } from 'instance-queue';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Management } from '../../../lib/tools/management';
import { closeAll, closing } from '../../support/closing';
import { rejection } from '../../support/waiting';

afterEach(closeAll);

/** A server that answers like the management API, or like something else. Gives its address, and what it was asked for. */
async function serving(status: number, body: string): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, asked };
}

describe('the management API', () => {
  it.each(['', '/', '/rabbit', '/rabbit/'])('is asked below the path of its URL: `%s`', async (path) => {
    const { url, asked } = await serving(200, '[]');
    await new Management({ url: `${url}${path}` }).bindingsFrom('events');
    expect(asked).toEqual([`${path.replace(/\/$/, '')}/api/exchanges/%2F/events/bindings/source`]);
  });

  it('says that there is no exchange and no queue: no bindings, and no type', async () => {
    const { url } = await serving(404, '{"error":"Object Not Found","reason":"Not Found"}');
    const api = new Management({ url });
    expect(await api.bindingsFrom('none')).toEqual([]);
    expect(await api.queueType('none')).toBeUndefined();
  });

  it.each([
    ['404', 404, '<h1>Not Found</h1>'],
    ['404 in JSON', 404, '"Not Found"'],
    ['200', 200, '<h1>Welcome</h1>'],
  ])('is not what answers %s with a page of its own: nothing is known then', async (_, status, body) => {
    const { url } = await serving(status, body);
    const error = await rejection(new Management({ url }).bindingsFrom('events'));
    expect(String(error)).toMatch(/127\.0\.0\.1:\d+ does not answer like the management API/);
  });

  it.each(['http://shop:100%@localhost:15672', 'http://%E0%A4%A:x@localhost:15672', 'amqp://localhost', 'nowhere'])(
    'is not at %s',
    (url) => {
      expect(() => new Management({ url })).toThrow(OptionsError);
    },
  );
});
