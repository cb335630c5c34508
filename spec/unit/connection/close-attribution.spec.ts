import { CloseAttribution } from '../../../lib/connection/reopening';
import { ChannelError, ConnectionError, type ConnectionErrorCode } from '../../../lib/errors';

/** A connection, as far as those who attach to it are concerned. */
interface Connected {
  lost: ConnectionError | undefined;
}
const connected = (): Connected => ({ lost: undefined });

/** Ends it; returns what each channel on it is told. */
function lose(
  link: Connected,
  replyCode?: number,
  code: ConnectionErrorCode = 'CONNECTION_LOST',
  why = 'Lost the connection.',
): ChannelError {
  link.lost = new ConnectionError(code, 'host:1/', why, { replyCode });
  return new ChannelError('The channel ended with its connection.', { cause: link.lost, replyCode });
}

describe('after the end of a connection', () => {
  let all: CloseAttribution[];
  /** Which of them may begin on this connection at once. */
  const beginning = (link: Connected): number[] => {
    const begun: number[] = [];
    all.forEach((one, i) => one.turn(link).subscribe(() => begun.push(i)));
    return begun;
  };

  beforeEach(() => {
    jest.useFakeTimers();
    all = [new CloseAttribution(), new CloseAttribution(), new CloseAttribution()];
  });
  afterEach(() => {
    jest.clearAllTimers();
    jest.useRealTimers();
  });

  it.each<[string, number | undefined]>([
    ['without a word', undefined],
    ['by an operator', 320],
  ])('%s, nobody who was attaching is suspect: all begin at once', (_how, replyCode) => {
    const link = connected();
    expect(beginning(link)).toEqual([0, 1, 2]);
    const error = lose(link, replyCode);
    expect(all.map((one) => one.guilty(link, error))).toEqual([false, false, false]);
    expect(beginning(connected())).toEqual([0, 1, 2]);
  });

  it.each([530, 541])('over a refusal (%d), who was attaching begins alone', (replyCode) => {
    const link = connected();
    beginning(link);
    const error = lose(link, replyCode);
    expect(all.map((one) => one.guilty(link, error))).toEqual([false, false, false]);
    const next = connected();
    const begun = beginning(next);
    expect(begun).toEqual([0]);
    all[0]?.cleared();
    expect(begun).toEqual([0, 1]);
  });

  it('over a refusal, who was alone is guilty', () => {
    const [one] = all;
    const link = connected();
    one?.turn(link).subscribe();
    expect(one?.guilty(link, lose(link, 541))).toBe(true);
  });

  it('over a crash in the broker, who was alone begins alone again, and is guilty if it crashes once more', () => {
    const [one, other] = all;
    const crash = 'Lost the connection to host:1/: the broker closed it: 541 INTERNAL_ERROR';
    const link = connected();
    one?.turn(link).subscribe();
    expect(one?.guilty(link, lose(link, 541, 'CONNECTION_LOST', crash))).toBe(false);
    const next = connected();
    const begun: string[] = [];
    one?.turn(next).subscribe(() => begun.push('one'));
    other?.turn(next).subscribe(() => begun.push('other'));
    expect(begun).toEqual(['one']);
    expect(one?.guilty(next, lose(next, 541, 'CONNECTION_LOST', crash))).toBe(true);
  });

  it('over refused credentials, no setup is suspect, not even one that was alone', () => {
    const [one] = all;
    const link = connected();
    one?.turn(link).subscribe();
    const error = lose(link, 530, 'CREDENTIALS_FAILED');
    expect(one?.guilty(link, error)).toBe(false);
    expect(beginning(connected())).toEqual([0, 1, 2]);
  });

  it('over a refusal, who was attached before is not suspect: it begins beside the others', () => {
    const link = connected();
    beginning(link);
    for (const one of all) one.cleared();
    const error = lose(link, 541);
    expect(all.map((one) => one.guilty(link, error))).toEqual([false, false, false]);
    expect(beginning(connected())).toEqual([0, 1, 2]);
  });

  it('who is refused on its own channel is guilty', () => {
    const link = connected();
    beginning(link);
    expect(all[1]?.guilty(link, new ChannelError('NOT_FOUND', { replyCode: 404 }))).toBe(true);
  });
});
