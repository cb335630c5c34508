import { ChannelError } from 'instance-queue';
import { of, type Observable } from 'rxjs';
import { openingChannel, type AmqpChannel } from '../../../lib/amqp/amqp-channel';
import { marbles } from '../../support/marbles';

// amqplib may send channel.open in front of the close-ok of the last channel of that number. The broker discards such a one.
const unanswered = (): Promise<AmqpChannel> => new Promise(() => undefined);
const host = (blocked$: Observable<string | undefined>) => ({ lost: undefined, blocked$ });
const GIVEN_UP = new ChannelError('Cannot open a channel: the broker did not answer within 30000 ms.');

test(
  'a channel whose opening the broker never answers is given up',
  marbles(({ expectObservable }) => {
    const opening$ = openingChannel(host(of(undefined)), unanswered);
    expectObservable(opening$).toBe('30s #', {}, GIVEN_UP);
  }),
);

test(
  'while the broker blocks the connection it may take as long as it likes to answer',
  marbles(({ cold, expectObservable }) => {
    const blocked$ = cold('n 5s b 60s n', { n: undefined, b: 'low on memory' });
    const opening$ = openingChannel(host(blocked$), unanswered);
    expectObservable(opening$).toBe('95002ms #', {}, GIVEN_UP);
  }),
);
