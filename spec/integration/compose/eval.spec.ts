import { privateBroker } from '../../support/brokers/test-brokers';

describe('an Erlang expression that a broker evaluates', () => {
  const broker = privateBroker();

  it.each([
    ['1 + 1.', '2'],
    ['{ok, <<"text">>, [a, 2.5]}.', '{ok,<<"text">>,[a,2.5]}'],
    ['size(<<"ä€😀"/utf8>>).', '9'],
    ['Value = 1, Class = 2, Value + Class.', '3'],
  ])('is written as an Erlang term: %s', async (expression, term) => {
    expect((await broker.ctl('eval', expression)).trim()).toBe(term);
  });

  it('is written as JSON if asked for', async () => {
    const said = await broker.ctl(
      'eval',
      '#{state => running, big => [#{i => I} || I <- lists:seq(1, 20000)]}.',
      '--formatter',
      'json',
    );
    expect(JSON.parse(said)).toMatchObject({
      value: { state: 'running', big: Array.from({ length: 20_000 }, (_, i) => ({ i: i + 1 })) },
    });
  });

  it('is evaluated once, and its error is the answer, if it fails', async () => {
    const before = 'persistent_term:put(evaluations, persistent_term:get(evaluations, 0) + 1)';
    await expect(broker.ctl('eval', `${before}, throw(no_good).`)).rejects.toThrow(/no_good/);
    expect((await broker.ctl('eval', 'persistent_term:get(evaluations).')).trim()).toBe('1');
    await broker.ctl('eval', 'persistent_term:erase(evaluations).');
  });

  it('is refused if it is none', async () => {
    await expect(broker.ctl('eval', '1 + .')).rejects.toThrow(/rabbitmqctl eval 1 \+ \. failed/);
  });
});
