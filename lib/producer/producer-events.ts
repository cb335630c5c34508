import { isolated } from '../reactive/isolated';
import type { TypedEmitter } from '../reactive/typed-emitter';
import type { PublishError } from '../errors';
import type { Confirmation } from './pending-send';
import type { PumpEvents } from './confirms';

/** What happens to messages on their way. `dropped`: by overflow or expiry; its `send` rejected too. */
export interface ProducerEvents {
  confirmed: [confirmation: Confirmation];
  resent: [messageId: string, attempt: number];
  returned: [cause: PublishError];
  dropped: [cause: PublishError];
}

/** Tells them to whoever listens; a listener that throws harms nobody else. */
export function emitting(emitter: TypedEmitter<ProducerEvents>): PumpEvents {
  return {
    confirmed: (confirmation) => {
      // The only one per message: nothing is done for nobody.
      if (emitter.listenerCount('confirmed') > 0) isolated(() => emitter.emit('confirmed', confirmation));
    },
    resent: (messageId, attempt) => {
      isolated(() => emitter.emit('resent', messageId, attempt));
    },
    returned: (cause) => {
      isolated(() => emitter.emit('returned', cause));
    },
    dropped: (cause) => {
      isolated(() => emitter.emit('dropped', cause));
    },
  };
}
