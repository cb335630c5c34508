import type { Patch } from './threads';

/** Mistakes below the transport port, which the simulator has to find down to the socket. */
const PATCHES: Readonly<Record<string, Patch>> = {
  'a-frame-is-read-one-octet-early': {
    file: 'lib/amqp/wire/delivery-frames.ts',
    search: 'return bytes[end - 1] === FRAME_END ? end : 0;',
    replace: 'return end === bytes.length + 1 || bytes[end - 1] === FRAME_END ? end : 0;',
  },
  'a-body-in-two-frames-is-cut-short': {
    file: 'lib/amqp/wire/delivery-frames.ts',
    search: 'if (end - bodyAt - FRAME_OVERHEAD !== size) return undefined;',
    replace: 'if (end === 0) return undefined;',
  },
  'messages-read-to-the-last-octet-are-read-again': {
    file: 'lib/amqp/wire/receiver.ts',
    search: 'if (at > 0) this.#connection.rest = rest.subarray(at);',
    replace: 'if (at > 0 && at < rest.length) this.#connection.rest = rest.subarray(at);',
  },
  'a-delivery-tag-is-read-from-its-lowest-octet': {
    file: 'lib/amqp/wire/delivery-frames.ts',
    search: 'const deliveryTag = uint32At(bytes, deliveryTagAt) * 2 ** 32 + uint32At(bytes, deliveryTagAt + 4);',
    replace: 'const deliveryTag = uint32At(bytes, deliveryTagAt + 4) & 0x1f;',
  },
  'a-chunk-is-given-back-too-early': {
    file: 'lib/amqp/wire/publisher.ts',
    search: 'return resting !== undefined && resting.upTo < this.#confirmed;',
    replace: 'return resting !== undefined && this.#confirmed >= 0;',
  },
  'a-full-chunk-is-dropped': {
    file: 'lib/amqp/wire/publisher.ts',
    search: 'if (this.#end + bytes <= this.#chunk.length) return;\n    this.flush();',
    replace: 'if (this.#end + bytes <= this.#chunk.length) return;',
  },
  'frames-are-larger-than-agreed': {
    file: 'lib/amqp/wire/publisher.ts',
    search: 'this.#most = Math.min(channel.frameMax, LARGEST_FRAME) - FRAME_OVERHEAD;',
    replace: 'this.#most = Math.min(channel.frameMax, LARGEST_FRAME);',
  },
  'a-full-socket-stays-full': {
    file: 'lib/amqp/outbound-channel.ts',
    search: 'this.#writable = true;\n      this.#drain$.next();',
    replace: 'this.#drain$.next();',
  },
  'a-cork-is-never-drawn': {
    file: 'lib/amqp/socket.ts',
    search: 'this.#socket.uncork();',
    replace: 'void this.#socket;',
  },
  'a-nack-of-several-nacks-the-last': {
    file: 'lib/amqp/outbound-channel.ts',
    search: "this.#verdicts$.next({ kind: 'nack', number: deliveryTag, multiple });",
    replace: "this.#verdicts$.next({ kind: 'nack', number: deliveryTag, multiple: multiple && deliveryTag < 0 });",
  },
  'heartbeats-are-switched-off': {
    file: 'lib/amqp/amqp-transport.ts',
    search: 'heartbeat: endpoint.heartbeat ?? heartbeat,\n    // amqplib reads',
    replace: 'heartbeat: 0 * (endpoint.heartbeat ?? heartbeat),\n    // amqplib reads',
  },
  'a-lost-socket-is-not-reported': {
    file: 'lib/amqp/amqp-transport.ts',
    search: "model.on('error', gone);\n      model.on('close', gone);",
    replace: "model.on('error', () => undefined);\n      if (!model) gone(undefined);",
  },
  'a-socket-is-left-open': {
    file: 'lib/amqp/amqp-transport.ts',
    search: 'setImmediate(() => {\n        socket.abort();\n      });',
    replace: 'setImmediate(() => {\n        if (!link) socket.abort();\n      });',
  },
  'what-came-with-open-ok-is-dropped': {
    file: 'lib/amqp/socket.ts',
    search: 'this.#socket?.push(held);',
    replace: 'void held;',
  },
  'the-end-of-open-ok-is-missed': {
    file: 'lib/amqp/socket.ts',
    search: 'this.#rest = size + FRAME.end - (this.#known - FRAME.header);',
    replace: 'this.#rest = size + FRAME.end;',
  },
  'a-block-never-ends': {
    file: 'lib/amqp/amqp-link.ts',
    search: "model.on('unblocked', () => {\n      this.#blocked.next(undefined);",
    replace: "model.on('unblocked', () => {\n      this.#blocked.next(this.#blocked.value);",
  },
  'a-channel-that-the-broker-closes-counts-as-closed-here': {
    file: 'lib/amqp/amqp-channel.ts',
    search: 'this.#ended$.next(this.#closing ? undefined : this.#reason());',
    replace: 'this.#ended$.next(this.#closing || this.#cause ? undefined : this.#reason());',
  },
  'a-dial-is-never-given-up': {
    file: 'lib/amqp/amqp-transport.ts',
    search: 'timer(connectTimeout).subscribe',
    replace: 'timer(connectTimeout * 10_000).subscribe',
  },
};

export const PLANTED_IN_AMQP: Readonly<Record<string, Patch>> = Object.fromEntries(
  Object.entries(PATCHES).map(([name, patch]) => [name, { ...patch, mode: 'socket' }]),
);
