import { Bystander } from '../../support/brokers/bystander';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closing } from '../../support/closing';
import { onTerminal } from '../../support/command-line';
import { deadLetterQueue } from '../../support/dead-letters';
import { fixture } from '../../support/fixtures/fixture';

const BOLD = '\u001b[1m';
const HIDDEN_CURSOR = '\u001b[?25l';

describe('npx instance-queue, on a terminal', () => {
  const given = fixture(async () => {
    const { url } = sharedBroker();
    const bystander = closing(await Bystander.at(url));
    return { url, bystander, letters: await deadLetterQueue(bystander) };
  });
  const start = (args: string[], env: NodeJS.ProcessEnv = {}) => onTerminal(args, { url: given.url, env });

  it('has colours and a hint what comes next, unless NO_COLOR or --no-color says otherwise', async () => {
    await given.letters.fill(2);
    const { code, stdout } = await start(['dead', 'list', given.letters.dead]).ended;
    expect(code).toBe(0);
    expect(stdout).toContain(`${BOLD}COUNT`);
    expect(stdout).toContain('Next: instance-queue dead show');
    const plain = await start(['dead', 'list', given.letters.dead], { NO_COLOR: '1' }).ended;
    const told = await start(['--no-color', 'dead', 'list', given.letters.dead]).ended;
    for (const { stdout: text } of [plain, told]) {
      expect(text).toContain('COUNT');
      expect(text).not.toContain(BOLD);
    }
  });

  it('shows progress', async () => {
    await given.letters.fill(40);
    const { stdout } = await start(['dead', 'replay', given.letters.dead, '--rate', '80']).ended;
    expect(stdout).toContain(HIDDEN_CURSOR);
    expect(stdout).toMatch(/replayed \S+ \d+\/40/);
    expect(stdout).toContain('replayed: 40 of 40');
  });

  it('asks before it drops, and takes anything but yes for no', async () => {
    await given.letters.fill(2);
    const asked = start(['dead', 'drop', given.letters.dead, '--id', 'm0']);
    await asked.says('messageId m0');
    await asked.says('[y/N]');
    asked.write('\n');
    expect(await asked.ended).toMatchObject({ code: 1 });
    expect((await given.bystander.count(given.letters.dead)).ready).toBe(2);
    const again = start(['dead', 'drop', given.letters.dead, '--id', 'm0']);
    await again.says('[y/N]');
    again.write('y\n');
    expect(await again.ended).toMatchObject({ code: 0 });
    expect((await given.bystander.count(given.letters.dead)).ready).toBe(1);
  });

  it('is left by Ctrl-C at a question, and nothing is done', async () => {
    await given.letters.fill(1);
    const asked = start(['dead', 'drop', given.letters.dead]);
    await asked.says('[y/N]');
    asked.write('\u0003');
    expect(await asked.ended).toMatchObject({ code: 130 });
    expect((await given.bystander.count(given.letters.dead)).ready).toBe(1);
  });
});
