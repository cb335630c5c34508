import { REPLY_CODES, type ChannelError } from '../../errors';
import { channelRefused, type Refusal as BrokersWords } from '../../transport/link-errors';

/** Why the broker refuses a request, in RabbitMQ's own words. A refusal closes the channel that the request came on. */
export class Refusal extends Error implements BrokersWords {
  constructor(
    readonly replyCode: keyof typeof REPLY_CODES,
    sentence: string,
  ) {
    super(`${REPLY_CODES[replyCode].name} - ${sentence}`);
    this.name = 'Refusal';
  }

  get text(): string {
    return this.message;
  }
}

/** The refusal as the client reports it; `what`: what it could not do. */
export const refused = (what: string, refusal: Refusal): ChannelError => channelRefused(what, refusal, refusal);
