import { OptionsError } from 'instance-queue';
import { createServer } from 'node:http';
import { Management } from '../../../lib/tools/management';
import { closeAll } from '../../support/closing';
import { listening } from '../../support/listening';
import { rejection } from '../../support/waiting';

afterEach(closeAll);

/** A server that answers like the management API, or like something else. Gives its address, and what it was asked for. */
async function serving(status: number, body: string) {
  const asked: string[] = [];
  const authorized: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    authorized.push(request.headers.authorization);
    response.writeHead(status).end(body);
  });
  return { url: await listening(server), asked, authorized };
}

describe('the management API', () => {
  it.each(['', '/', '/rabbit', '/rabbit/'])('is asked below the path of its URL: `%s`', async (path) => {
    const { url, asked } = await serving(200, '[]');
    await new Management({ url: `${url}${path}` }).bindingsFrom('events');
    expect(asked).toEqual([`${path.replace(/\/$/, '')}/api/exchanges/%2F/events/bindings/source`]);
  });

  it.each([
    ['shop:geheim', 'shop:geheim'],
    ['a%40b:c%3Ad%25', 'a@b:c:d%'],
    ['shop', 'shop:'],
  ])(
    'is asked as the user of its URL, with the password, which are not in what is asked: %s',
    async (user, credentials) => {
      const { url, asked, authorized } = await serving(200, '[]');
      await new Management({ url: url.replace('//', `//${user}@`) }).bindingsOf('orders');
      expect(authorized).toEqual([`Basic ${Buffer.from(credentials).toString('base64')}`]);
      expect(asked).toEqual(['/api/queues/%2F/orders/bindings']);
    },
  );

  it('says that there is no exchange and no queue: no bindings, and no type', async () => {
    const { url } = await serving(404, '{"error":"Object Not Found","reason":"Not Found"}');
    const api = new Management({ url });
    expect(await api.bindingsFrom('none')).toEqual([]);
    expect(await api.queueType('none')).toBeUndefined();
  });

  it.each([
    ['its type', '{"name":"orders","type":"quorum"}', 'quorum'],
    ['no type, as brokers without other types do', '{"name":"orders"}', 'classic'],
    ['a list', '[]', undefined],
  ])('says of a queue %s', async (_, body, type) => {
    const { url, asked } = await serving(200, body);
    expect(await new Management({ url, vhost: 'a/b' }).queueType('my queue')).toBe(type);
    expect(asked).toEqual(['/api/queues/a%2Fb/my%20queue']);
  });

  it('says why it refuses, or cannot be reached, and what it is', async () => {
    const { url } = await serving(401, '{"error":"not_authorised"}');
    const refused = await rejection(new Management({ url }).bindingsOf('orders'));
    expect(String(refused)).toBe(`Error: Refused by the management API at ${new URL(url).host}: 401 Unauthorized.`);
    const gone = await rejection(new Management({ url: 'http://shop:geheim@127.0.0.1:1' }).bindingsOf('orders'));
    expect(String(gone)).toContain('Cannot reach the management API at 127.0.0.1:1: ');
    expect(gone).toMatchObject({ cause: expect.anything() as unknown });
    expect(String(gone)).not.toContain('geheim');
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
