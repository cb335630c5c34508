import { FakeBroker } from '../../../compose/fake-broker';
import { freePort } from '../../../compose/ports';
import { sharedBroker } from '../../support/broker';
import { runChild } from '../../support/child';

const broker = sharedBroker();

describe('a process that has closed its queue ends by itself within a second', () => {
  it.each([
    ['unused', 0, 0],
    ['connecting', 0, 0],
    ['backing off', 0, 0],
    ['with messages nobody takes', 0, 1],
    ['given up', 0, 0],
    ['idle', 0, 0],
    ['after sending', 0, 0],
    ['busy', 1, 0],
  ])('%s', async (phase, unsettled, unconfirmed) => {
    const dead = `amqp://127.0.0.1:${await freePort()}`;
    const ended = await runChild('fault/closing/exit.program.ts', [phase, broker.url, dead]);
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(JSON.parse(ended.stdout)).toEqual({ unsettled, unconfirmed });
    expect(ended.lingered).toBeLessThan(1000);
  });

  it('connecting to somebody who never answers', async () => {
    const mute = await FakeBroker.start((client) => client.onMethod('protocol-header', 'ignore'));
    const ended = await runChild('fault/closing/exit.program.ts', ['connecting', mute.url]);
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '', stdout: '{"unsettled":0,"unconfirmed":0}' });
    expect(ended.lingered).toBeLessThan(1000);
    await mute.close();
  });
});
