import type { OnReadOpts } from 'node:net';
import { Duplex } from 'node:stream';
import type { ByteLine } from './byte-line';

/** What the library asks of a socket, through amqplib. */
export interface SocketOptions {
  readonly signal?: AbortSignal;
  readonly onread?: OnReadOpts;
}

type Done = (error?: Error | null) => void;

/** The client's end of a TCP connection: a stand-in for Node's `Socket`, as far as amqplib and the library use it. */
export class SimulatedSocket extends Duplex {
  /** Called once, when it is destroyed. `sent`: nothing that was written waits here for room. */
  onGone: (sent: boolean) => void = () => undefined;
  readonly #onread: OnReadOpts | undefined;
  #out: ByteLine | undefined;
  #in: ByteLine | undefined;
  /** What the kernel had no room for. Its bytes are copied when there is room, and not before: libuv does the same. */
  #waiting: { readonly chunks: Uint8Array[]; readonly done: Done } | undefined;

  constructor({ signal, onread }: SocketOptions, highWaterMark: number) {
    super({ allowHalfOpen: false, writableHighWaterMark: highWaterMark, ...(signal && { signal }) });
    this.#onread = onread;
  }

  /** The connection is established. */
  establish(out: ByteLine, incoming: ByteLine): void {
    this.#out = out;
    this.#in = incoming;
    out.onRoom = () => {
      this.#writeOn();
    };
    incoming.reader = {
      read: (bytes) => {
        if (!this.destroyed && !this.#take(bytes)) incoming.pause();
      },
      end: (how) => {
        if (how === 'fin') this.push(null);
        else this.break('read', 'ECONNRESET');
      },
    };
    this.emit('connect');
    // Node starts to read at once.
    this.read(0);
  }

  /** A system call fails. */
  break(syscall: string, code: string): void {
    this.destroy(Object.assign(new Error(`${syscall} ${code}`), { code, syscall }));
  }

  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }

  override _read(): void {
    this.#in?.resume();
  }

  override _write(chunk: Uint8Array, _: BufferEncoding, done: Done): void {
    this.#writeAll([chunk], done);
  }

  override _writev(chunks: readonly { readonly chunk: Uint8Array }[], done: Done): void {
    this.#writeAll(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: Done): void {
    this.#out?.end('fin');
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    const sent = this.#waiting === undefined;
    this.#waiting = undefined;
    this.onGone(sent);
    done(error);
  }

  /** `false`: enough for now. */
  #take(bytes: Buffer): boolean {
    const onread = this.#onread;
    if (!onread) return this.push(bytes);
    let more = true;
    for (let at = 0; at < bytes.length;) {
      const buffer = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer;
      const piece = bytes.subarray(at, at + buffer.length);
      buffer.set(piece);
      at += piece.length;
      more = onread.callback.call(this, piece.length, buffer);
    }
    return more;
  }

  #writeAll(chunks: Uint8Array[], done: Done): void {
    this.#waiting = { chunks, done };
    this.#writeOn();
  }

  #writeOn(): void {
    const waiting = this.#waiting;
    const out = this.#out;
    if (!waiting || !out) return;
    const { chunks, done } = waiting;
    for (let [first] = chunks; first; [first] = chunks) {
      const { room } = out;
      if (room < first.length) {
        out.send(first.subarray(0, room));
        chunks[0] = first.subarray(room);
        return;
      }
      chunks.shift();
      out.send(first);
    }
    this.#waiting = undefined;
    done();
  }
}
