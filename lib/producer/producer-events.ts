import { isolated } from '../reactive/isolated';
import type { TypedEmitter } from '../reactive/typed-emitter';
import type { PublishError } from '../errors';
import type { Confirmation } from './pending-send';
import type { PumpEvents } from './confirms';

/** Outcomes of messages. `dropped`: by overflow or expiry; its `send` rejected too. */
export interface ProducerEvents {
  confirmed: [confirmation: Confirmation];
  resent: [messageId: string, attempt: number];
  returned: [cause: PublishError];
  dropped: [cause: PublishError];
}

/** Emits the events. A listener that throws does not affect the others. */
export function emitting(emitter: TypedEmitter<ProducerEvents>): PumpEvents {
  return {
    confirmed: (confirmation) => {
      // The only event per message: skipped without listeners.
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
