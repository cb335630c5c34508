import { asUser } from '../../support/brokers/as-user';
import { Bystander } from '../../support/brokers/bystander';
import { bodies, ids } from '../../support/brokers/messages';
import { privateBroker, sharedBroker } from '../../support/brokers/test-brokers';
import { closing } from '../../support/closing';
import { inPipes, inShell, startInPipes } from '../../support/command-line';
import { deadLetterQueue } from '../../support/dead-letters';
import { fixture } from '../../support/fixtures/fixture';
import { eventually } from '../../support/waiting';

const ESCAPE = '\u001b';

describe('npx instance-queue, in pipes', () => {
  const given = fixture(async () => {
    const { url } = sharedBroker();
    const bystander = closing(await Bystander.at(url));
    return { url, bystander, letters: await deadLetterQueue(bystander) };
  });
  const run = (...args: string[]) => inPipes(args, { url: given.url });

  it('groups dead letters, as one JSON document', async () => {
    await given.letters.fill(3);
    const { code, stdout, stderr } = await run('dead', 'list', given.letters.dead, '--json');
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({
      name: given.letters.dead,
      found: 3,
      read: 3,
      groups: [{ count: 3, reason: 'rejected', queue: given.letters.name, example: 'm0' }],
    });
  });

  it('shows letters, one JSON document per line, and as text without colours or control characters', async () => {
    await given.letters.fill(2, (i) => `{"id":${i},"evil":"${ESCAPE}[2J"}`);
    const { stdout } = await run('dead', 'show', given.letters.dead, '--json', '--id', 'm1');
    expect(stdout.split('\n')).toHaveLength(2);
    expect(JSON.parse(stdout)).toMatchObject({
      messageId: 'm1',
      reason: 'rejected',
      body: `{"id":1,"evil":"${ESCAPE}[2J"}`,
    });
    const text = await run('dead', 'show', given.letters.dead);
    expect(text.stdout).toContain('m0 · rejected in');
    expect(text.stdout).toContain('\\x1b[2J');
    expect(text.stdout + text.stderr).not.toContain(ESCAPE);
  });

  it('has no colours in the log of a CI server either', async () => {
    await given.letters.fill(1);
    const { stdout, stderr } = await inPipes(['dead', 'list', given.letters.dead], {
      url: given.url,
      env: { CI: 'true' },
    });
    expect(stdout).toContain('COUNT');
    expect(stdout).toContain('1 letter read');
    expect(stdout + stderr).not.toContain(ESCAPE);
  });

  it('replays what is meant, says what it did, and keeps the rest', async () => {
    await given.letters.fill(3);
    const dry = await run('dead', 'replay', given.letters.dead, '--id', 'm1', '--dry-run');
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(dry.stdout).toContain('would have been replayed: 1 of 1');
    const { code, stdout } = await run('dead', 'replay', given.letters.dead, '--id', 'm1', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ action: 'replayed', done: 1, targets: { [given.letters.name]: 1 } });
    expect(ids(await given.bystander.takeAll(given.letters.name))).toEqual(['m1']);
    expect(ids(await given.bystander.takeAll(given.letters.dead))).toEqual(['m0', 'm2']);
  });

  it('drops and moves nothing without --yes', async () => {
    await given.letters.fill(1);
    const { dead, name } = given.letters;
    for (const args of [
      ['drop', dead],
      ['move', dead, '--to', name],
    ]) {
      const { code, stderr } = await run('dead', ...args);
      expect(code).toBe(2);
      expect(stderr).toContain('--yes');
    }
    expect((await given.bystander.count(dead)).ready).toBe(1);
    expect(await run('dead', 'drop', dead, '--yes')).toMatchObject({ code: 0 });
    expect((await given.bystander.count(dead)).ready).toBe(0);
  });

  it('exits with 7 when letters stay', async () => {
    await given.bystander.put(given.letters.dead, 1);
    const { code, stdout } = await run('dead', 'replay', given.letters.dead);
    expect(code).toBe(7);
    expect(stdout).toContain('--to');
  });

  it('ends when its output is closed, and all letters are back', async () => {
    await given.letters.fill(500, () => 'x'.repeat(2000));
    const line = `$CLI dead show ${given.letters.dead} --limit all --json | head -n 1 | cut -c 1-20`;
    const { stdout, stderr } = await inShell(line, { url: given.url });
    expect(stdout).toContain('messageId');
    expect(stderr).toBe('');
    await eventually(async () => (await given.bystander.count(given.letters.dead)).ready === 500);
  });

  it('ends by Ctrl-C with what it did, and the rest stays', async () => {
    await given.letters.fill(60);
    const replay = startInPipes(['dead', 'replay', given.letters.dead, '--rate', '20'], { url: given.url });
    await eventually(async () => (await given.bystander.count(given.letters.name)).ready >= 3);
    replay.signal('SIGINT');
    const { code, stdout } = await replay.ended;
    expect(code).toBe(130);
    expect(stdout).toContain('interrupted: the rest is in its queue, untouched');
    const done = (await given.bystander.count(given.letters.name)).ready;
    expect(done).toBeLessThan(60);
    await eventually(async () => (await given.bystander.count(given.letters.dead)).ready === 60 - done);
  });

  it('sends a message and waits for its confirm; one that no queue takes is refused', async () => {
    const { name } = given.letters;
    expect(await run('send', '--queue', name, '--body', '{"id":1}', '--id', 'm')).toMatchObject({
      code: 0,
      stdout: 'confirmed: m\n',
    });
    const fromInput = await inPipes(['send', '--queue', name, '--file', '-'], { url: given.url, input: '' });
    expect(fromInput.code).toBe(0);
    const [first] = await given.bystander.takeAll(name);
    expect(bodies([first!])).toEqual([{ id: 1 }]);
    expect(first!.properties.contentType).toBe('application/json');
    const { code, stderr } = await run('send', '--queue', given.bystander.freeQueueName(), '--body', 'x');
    expect(code).toBe(6);
    expect(stderr).toMatch(/^error: /);
  });

  it('sends what comes on its standard input bit by bit', async () => {
    const { name } = given.letters;
    const slow = await inShell(`(printf '{"id":'; sleep 0.2; printf '2}') | $CLI send --queue ${name} --file -`, {
      url: given.url,
    });
    expect(slow).toMatchObject({ code: 0, stderr: '' });
    const [message] = await given.bystander.takeAll(name);
    expect(bodies([message!])).toEqual([{ id: 2 }]);
  });

  it('follows an exchange, and takes nothing from its queues', async () => {
    const exchange = given.bystander.freeExchangeName();
    await given.bystander.onChannel((channel) => channel.assertExchange(exchange, 'topic'));
    await given.bystander.onChannel((channel) => channel.bindQueue(given.letters.name, exchange, '#'));
    const tail = startInPipes(['tail', exchange, '--key', 'order.*', '--json', '--limit', '2'], { url: given.url });
    // It says nothing of when it is bound: what is published before is not seen.
    let over = false;
    void tail.ended.then(() => (over = true));
    await eventually(async () => {
      await given.bystander.publish(exchange, 'invoice.paid', {});
      await given.bystander.publish(exchange, 'order.paid', {});
      return over;
    });
    const { code, stdout } = await tail.ended;
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { routingKey: string; exchange: string });
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ exchange, routingKey: 'order.paid' });
    expect((await given.bystander.count(given.letters.name)).ready).toBeGreaterThanOrEqual(4);
  });

  it('says what to do about a queue whose bindings AMQP does not tell', async () => {
    const { code, stderr } = await inPipes(
      ['tail', given.letters.name, '--management', 'http://user:geheim@127.0.0.1:1'],
      { url: given.url },
    );
    expect(code).toBe(2);
    expect(stderr).toContain('Name an exchange instead');
    expect(stderr).not.toContain('geheim');
  });

  it('compares a topology, and exits with 7 where it differs', async () => {
    const { name, dead } = given.letters;
    const topology = JSON.stringify({
      exchanges: [
        { name: 'amq.topic', type: 'topic' },
        { name: 'amq.direct', type: 'fanout' },
      ],
      queues: [{ name: dead }, { name, messageTtl: 5000, maxLength: 7 }, { name: 'no-such-queue' }],
      bindings: [{ exchange: 'amq.topic', queue: name, routingKey: 'a' }],
    });
    const { code, stdout } = await inShell(
      `printf '%s' "$TOPOLOGY" > "$TMPDIR/t-$$.json" && $CLI topology diff "$TMPDIR/t-$$.json" --json; code=$?; rm "$TMPDIR/t-$$.json"; exit $code`,
      { url: given.url, env: { TOPOLOGY: topology, TMPDIR: process.env.TMPDIR ?? '/tmp' } },
    );
    expect(code).toBe(7);
    const { same, compared } = JSON.parse(stdout) as {
      same: boolean;
      compared: { name: string; state: string; details: string[] }[];
    };
    expect(same).toBe(false);
    expect(compared.map(({ name: what, state }) => [what, state])).toEqual([
      ['amq.topic', 'same'],
      ['amq.direct', 'different'],
      [dead, 'same'],
      [name, 'different'],
      ['no-such-queue', 'missing'],
      [`amq.topic → ${name} (a)`, 'unknown'],
    ]);
    expect(compared[1]!.details).toEqual(['type: fanout is declared, direct is there']);
    expect(compared[3]!.details).toEqual(
      expect.arrayContaining([
        'x-message-ttl: 5000 is declared, nothing is there',
        'x-max-length: 7 is declared, nothing is there',
        `x-dead-letter-routing-key: nothing is declared, ${dead} is there`,
      ]),
    );
    expect(await given.bystander.hasQueue('no-such-queue')).toBe(false);
  });

  describe('check', () => {
    it('goes through every step of a connection that works', async () => {
      const { code, stdout } = await run('check', '--json', '--queue', given.letters.name);
      expect(code).toBe(0);
      const { ok, steps } = JSON.parse(stdout) as {
        ok: boolean;
        steps: { name: string; status: string; text: string }[];
      };
      expect(ok).toBe(true);
      expect(steps.map(({ name }) => name)).toEqual(['dns', 'tcp', 'login', 'configure', 'write', 'read', 'queue']);
      expect(steps[2]!.text).toMatch(/^RabbitMQ \d+\.\d+.*heartbeat 10 s/);
    });

    it.each([
      ['an unknown host', (url: URL) => (url.hostname = 'no-such-host.invalid'), 3, /DNS|unknown/],
      ['a port where nothing listens', (url: URL) => (url.port = '1'), 3, /nothing listens/],
      ['a wrong password', (url: URL) => (url.password = 'geheim'), 4, /credentials/],
      ['an unknown virtual host', (url: URL) => (url.pathname = '/nowhere'), 4, /virtual host/],
      ['TLS at a port of plain AMQP', (url: URL) => (url.protocol = 'amqps:'), 3, /TLS/],
    ])('explains %s', async (_, change, exit, words) => {
      const url = new URL(given.url.replace('amqp:', 'http:'));
      url.password = 'geheim-richtig';
      if (change.toString().includes('password')) url.username = 'guest';
      else [url.username, url.password] = [new URL(given.url).username, new URL(given.url).password];
      change(url);
      const secure = url.protocol === 'amqps:' || change.toString().includes('amqps');
      const asked = url.href.replace(/^https?:/, secure ? 'amqps:' : 'amqp:');
      const { code, stdout, stderr } = await inPipes(['check', '--url', asked]);
      expect(stdout).toMatch(words);
      expect(code).toBe(exit);
      expect(stdout + stderr).not.toContain('geheim');
    });

    it('tells which permission is missing', async () => {
      const reader = { name: 'reader', password: 'geheim', configure: '^$', write: '^$', read: '.*' };
      await asUser(privateBroker(), reader, async (url) => {
        const { code, stdout } = await inPipes(['check', '--url', url]);
        expect(code).toBe(5);
        expect(stdout).toMatch(/configure +FAILED.*403.*'reader'\. The permissions of a user/);
        expect(stdout).toMatch(/write +skipped/);
        expect(stdout).not.toContain('geheim');
      });
    });
  });

  it('explains wrong usage, and where it was used for help', async () => {
    for (const args of [
      ['dead', 'lst'],
      ['dead', 'list'],
      ['dead', 'list', 'q', '--limit', '0'],
      ['--frobnicate'],
      ['send'],
    ]) {
      const { code, stderr } = await run(...args);
      expect([args, code]).toEqual([args, 2]);
      expect(stderr).toMatch(/error/);
    }
    expect((await run('dead', 'list', given.bystander.freeQueueName())).code).toBe(6);
  });

  it('shows no credentials, in no help and no error', async () => {
    const url = 'amqp://shop:geheim@127.0.0.1:1/orders';
    for (const args of [
      ['--help'],
      ['dead', '--help'],
      ['dead', 'list', 'q'],
      ['check'],
      ['tail', 'x'],
      ['topology', 'diff', 'none.json'],
    ]) {
      const { stdout, stderr } = await inPipes(args, { url });
      expect(stdout + stderr).not.toContain('geheim');
    }
  });
});
