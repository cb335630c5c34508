import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { Cork } from '../../../lib/amqp/socket';

/** A socket that remembers what each of its writes held, and takes its time for them when told to. */
class Socket extends Duplex {
  readonly writes: string[] = [];
  /** What ends the write under way; undefined: writes end at once. */
  stalled: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 4 });
  }
  stall(): void {
    this.stalled = () => undefined;
  }
  override _read(): void {
    // Nobody sends anything.
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#write(chunk.toString(), done);
  }
  override _writev(chunks: { readonly chunk: Buffer }[], done: () => void): void {
    this.#write(chunks.map(({ chunk }) => chunk.toString()).join(''), done);
  }
  #write(text: string, done: () => void): void {
    this.writes.push(text);
    if (this.stalled) this.stalled = done;
    else done();
  }
}

describe('what is written in one turn', () => {
  let socket: Socket;
  let gathering: Cork;
  let waiting: string[];
  /** As amqplib does: all that waits, in an immediate that is set in the tick after the first write. */
  const send = (text: string): void => {
    if (waiting.push(text) === 1) {
      process.nextTick(() => {
        setImmediate(() => {
          for (const one of waiting.splice(0)) socket.write(one);
        });
      });
    }
    gathering.gather();
  };

  beforeEach(() => {
    socket = new Socket();
    waiting = [];
    gathering = new Cork(socket);
  });

  it('goes to the socket at once', async () => {
    for (const letter of 'abc') send(letter);
    await turn();
    await turn();
    expect(socket.writes).toEqual(['abc']);
  });

  it('goes in the phase in which it is passed on, and not later', async () => {
    const phases: string[][] = [];
    send('a');
    process.nextTick(() => {
      setImmediate(() => phases.push([...socket.writes]));
    });
    await turn();
    await turn();
    expect(phases).toEqual([['a']]);
  });

  it.each([
    ['small messages', 16 * 1024 - 1, ['full!', 'xyz']],
    ['large messages by themselves, not held back', 16 * 1024, ['full!', 'x', 'y', 'z']],
  ])('goes at once, too, when it had to wait until there was room: %s', async (_what, bytes, writes) => {
    gathering.published(bytes);
    await turn();
    await turn();
    socket.stall();
    socket.write('full!');
    // As amqplib does, and registered before.
    socket.on('drain', () => {
      for (const letter of 'xyz') socket.write(letter);
    });
    const written = socket.stalled;
    socket.stalled = undefined;
    written?.();
    await turn();
    await turn();
    await turn();
    expect(socket.writes).toEqual(writes);
  });

  it('holds back small messages alone', () => {
    gathering.published(16 * 1024);
    expect(socket.writableCorked).toBe(0);
    gathering.published(1);
    expect(socket.writableCorked).toBe(1);
  });

  it('goes at once, too, when it comes in front of the immediate of what was written before', async () => {
    gathering.published(1);
    await turn();
    await turn();
    socket.stall();
    socket.write('full!');
    socket.once('drain', () => socket.write('a'));
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        const written = socket.stalled;
        socket.stalled = undefined;
        // The socket drains in the phase of immediates: those that are set now are of the next turn.
        written?.();
        setTimeout(() => {
          for (const letter of 'bcd') send(letter);
          resolve();
        });
        // It is due before them.
        const until = performance.now() + 5;
        while (performance.now() < until);
      });
    });
    await turn();
    await turn();
    expect(socket.writes).toEqual(['full!', 'abcd']);
  });

  it('is followed by what is written in the next one', async () => {
    send('a');
    await turn();
    await turn();
    send('b');
    await turn();
    await turn();
    expect(socket.writes).toEqual(['a', 'b']);
  });
});
