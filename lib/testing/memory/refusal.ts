import { REPLY_CODES, type ChannelError } from '../../errors';
import { channelRefused, type Refusal as BrokersWords } from '../../transport/link-errors';

/** Over these the broker closes the whole connection. https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const CONNECTION_ERRORS: readonly number[] = [320, 402, 501, 502, 503, 504, 505, 530, 540, 541];

/** Why the broker refuses a request, in RabbitMQ's own words. A refusal closes the channel that the request came on. */
export class Refusal extends Error implements BrokersWords {
  constructor(
    readonly replyCode: keyof typeof REPLY_CODES,
    sentence: string,
  ) {
    super(`${REPLY_CODES[replyCode].name} - ${sentence}`);
    this.name = 'Refusal';
  }

  /** Does it close the whole connection? */
  get closesConnection(): boolean {
    return CONNECTION_ERRORS.includes(this.replyCode);
  }
  get text(): string {
    return this.message;
  }
}

/** The refusal as the client reports it; `what`: what it could not do. */
export const refused = (what: string, refusal: Refusal): ChannelError => channelRefused(what, refusal, refusal);
